"""Lots in the order of their descent."""

from collections.abc import Iterable, Mapping


def distances(start: str, parents: Mapping[str, Iterable[str]]) -> dict[str, int]:
    """How many steps each ancestor is away from a lot, by the shortest way; ends on circles too.

    Args:
        parents: lot id -> ids of the lots that it was made from.
    """
    found: dict[str, int] = {}
    frontier, distance = {start}, 0
    while frontier:
        found.update(dict.fromkeys(frontier, distance))
        distance += 1
        frontier = {parent for lot in frontier for parent in parents.get(lot, ())} - found.keys()
    del found[start]
    return found
