"""Paths in PyTorch's autograd graph."""

from __future__ import annotations

from collections.abc import Iterable

from torch import Tensor
from torch.autograd.graph import Node, get_gradient_edge

Output = tuple[Node, int]
"""An output of a node, by its number: identifies a tensor in the graph."""


def output(tensor: Tensor) -> Output:
    """The node and the number of its output that a tensor is; it must require a gradient."""
    edge = get_gradient_edge(tensor)
    return edge.node, edge.output_nr


def ancestors(tensors: Iterable[Tensor], stop: Iterable[Tensor] = ()) -> set[Output]:
    """Everything that the tensors were computed from, themselves included.

    Args:
        tensors: starts of the paths; those that require no gradient are skipped.
        stop: tensors that no path may pass through.
    """
    seen = {output(tensor) for tensor in stop}
    blocked = set(seen)
    found = [start for start in map(output, filter(_in_graph, tensors)) if start not in seen]
    seen.update(found)
    while found:
        node, _ = found.pop()
        for parent, number in node.next_functions:
            if parent is not None and (parent, number) not in seen:
                seen.add((parent, number))
                found.append((parent, number))
    return seen - blocked


def between(start: Tensor, ends: Iterable[Tensor]) -> set[Node]:
    """The nodes on the paths from a tensor back to some of those that it was computed from.

    Args:
        start: the tensor; its own node is among the nodes.
        ends: tensors where paths end; their nodes are left out.
    """
    targets = {output(tensor) for tensor in ends}
    children: dict[Node, list[Node]] = {}
    found: list[Node] = []
    for node, _ in ancestors([start], stop=ends):
        for parent, number in node.next_functions:
            if (parent, number) in targets:
                found.append(node)
            elif parent is not None:
                children.setdefault(parent, []).append(node)
    seen = set(found)
    while found:
        new = set(children.get(found.pop(), [])) - seen
        seen |= new
        found.extend(new)
    return seen


def leaves(outputs: Iterable[Output]) -> list[Tensor]:
    """The leaf tensors, such as parameters, among the outputs."""
    return [node.variable for node, _ in outputs if hasattr(node, "variable")]


def _in_graph(tensor: Tensor) -> bool:
    """Whether a tensor is part of a graph."""
    return tensor.requires_grad
