"""Paths in PyTorch's autograd graph, from a tensor back to the tensors it was computed from."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable

from torch import Tensor
from torch.autograd.graph import Node, get_gradient_edge

Output = tuple[Node, int]
"""A tensor in the graph: the node (operation) that computed it, and its index in the outputs."""


def output(tensor: Tensor) -> Output:
    """The `Output` of a tensor, which must require a gradient."""
    edge = get_gradient_edge(tensor)
    return edge.node, edge.output_nr


def ancestors(tensors: Iterable[Tensor], stop: Iterable[Tensor] = ()) -> set[Output]:
    """All tensors that `tensors` were computed from, `tensors` included.

    Tensors that require no gradient are left out, and refused in `stop`, before which paths end.
    """
    blocked = {output(tensor) for tensor in stop}
    found = {output(tensor) for tensor in tensors if tensor.requires_grad} - blocked
    unvisited = list(found)
    while unvisited:
        node, _ = unvisited.pop()
        # None stands for an input that requires no gradient.
        sources = {(parent, number) for parent, number in node.next_functions if parent is not None}
        new = sources - found - blocked
        found |= new
        unvisited.extend(new)
    return found


def between(start: Tensor, ends: Collection[Tensor]) -> set[Node]:
    """Operations on the paths from `start` back to `ends`, tensors that require a gradient.

    The operation that computed `start` is included; one that computed an end is not, unless another
    of its results is on such a path, too.
    `check_leak` looks among them for custom functions, which may hide a dependence.
    """
    end_outputs = {output(tensor) for tensor in ends}
    users: dict[Node, list[Node]] = defaultdict(list)  # operations on the results of each node
    unvisited: list[Node] = []  # at first, the operations on the ends
    for node, _ in ancestors([start], stop=ends):
        for parent, number in node.next_functions:
            if (parent, number) in end_outputs:
                unvisited.append(node)
            elif parent is not None:
                users[parent].append(node)
    found: set[Node] = set()
    while unvisited:  # from the ends to the start
        node = unvisited.pop()
        if node not in found:
            found.add(node)
            unvisited.extend(users[node])
    return found


def leaves(outputs: Iterable[Output]) -> list[Tensor]:
    """The leaf tensors, such as parameters, among `outputs`."""
    # Of PyTorch's own nodes, only that of a leaf (AccumulateGrad) holds its tensor.
    return [node.variable for node, _ in outputs if hasattr(node, "variable")]
