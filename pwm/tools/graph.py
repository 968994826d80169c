"""Paths in PyTorch's autograd graph, from a tensor back to those that it was computed from."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable

from torch import Tensor
from torch.autograd.graph import Node, get_gradient_edge

Output = tuple[Node, int]
"""A tensor in the graph: the operation that computed it, and which of its outputs it is."""


def output(tensor: Tensor) -> Output:
    """The place in the graph of a tensor that requires a gradient."""
    edge = get_gradient_edge(tensor)
    return edge.node, edge.output_nr


def ancestors(tensors: Iterable[Tensor], stop: Iterable[Tensor] = ()) -> set[Output]:
    """Everything that some tensors were computed from, themselves included.

    Args:
        tensors: starts of the paths; those that require no gradient are skipped.
        stop: tensors that no path may pass through.
    """
    blocked = {output(tensor) for tensor in stop}
    found = {output(tensor) for tensor in tensors if tensor.requires_grad} - blocked
    unvisited = list(found)
    while unvisited:
        node, _ = unvisited.pop()
        for parent, number in node.next_functions:
            if parent is None:
                continue
            place = (parent, number)
            if place not in found and place not in blocked:
                found.add(place)
                unvisited.append(place)
    return found


def between(start: Tensor, ends: Iterable[Tensor]) -> set[Node]:
    """The operations on the paths from a tensor back to some of those that it was computed from.

    Args:
        start: the tensor; the operation that computed it is included.
        ends: tensors where paths end; the operations that computed them are left out.
    """
    ends = list(ends)
    places = {output(tensor) for tensor in ends}
    users: dict[Node, list[Node]] = defaultdict(list)  # of the results of each operation
    unvisited: list[Node] = []  # at first, the users of the ends
    for node, _ in ancestors([start], stop=ends):
        for parent, number in node.next_functions:
            if (parent, number) in places:
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
    """The leaf tensors, such as parameters, among the outputs."""
    return [node.variable for node, _ in outputs if hasattr(node, "variable")]
