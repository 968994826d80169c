"""Paths in PyTorch's graph of differentiation."""

from __future__ import annotations

from collections.abc import Iterable

from torch import Tensor
from torch.autograd.graph import Node, get_gradient_edge

Output = tuple[Node, int]
"""One output of a node: the identity of a tensor in the graph."""


def output(tensor: Tensor) -> Output:
    """The tensor's place in the graph; it must require a gradient."""
    edge = get_gradient_edge(tensor)
    return edge.node, edge.output_nr


def ancestors(tensors: Iterable[Tensor], stop: Iterable[Tensor] = ()) -> set[Output]:
    """Everything that the tensors were computed from, themselves included.

    Args:
        tensors: starts of the paths; those without a graph have none.
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
    """The nodes on the ways from a tensor to those that it was computed from, without these."""
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
    """The parameters and other leaves among the outputs."""
    return [node.variable for node, _ in outputs if hasattr(node, "variable")]


def _in_graph(tensor: Tensor) -> bool:
    return tensor.requires_grad
