"""Order and cycles of units that need each other."""

from collections.abc import Mapping, Sequence
from graphlib import CycleError, TopologicalSorter
from heapq import heappop, heappush

Needs = Mapping[str, Sequence[str]]


def cycle_in(needs: Needs) -> list[str] | None:
    """A cycle as a chain in which each name needs the next and the last is the first again; None when there is none."""
    try:
        TopologicalSorter(needs).prepare()
    except CycleError as error:
        chain: list[str] = error.args[1][:0:-1]  # graphlib lists what runs first first; a need points the other way
        start = min(range(len(chain)), key=lambda at: list(needs).index(chain[at]))
        return [*chain[start:], *chain[:start], chain[start]]
    return None


def in_order(needs: Needs) -> list[str]:
    """The names so that every need comes first; of those that may come next, the one written first."""
    place = {name: at for at, name in enumerate(needs)}
    missing = {name: len(wanted) for name, wanted in needs.items()}
    dependents: dict[str, list[str]] = {name: [] for name in needs}
    for name, wanted in needs.items():
        for need in wanted:
            dependents[need].append(name)
    ready = [(place[name], name) for name, count in missing.items() if count == 0]
    order: list[str] = []
    while ready:
        name = heappop(ready)[1]
        order.append(name)
        for dependent in dependents[name]:
            missing[dependent] -= 1
            if missing[dependent] == 0:
                heappush(ready, (place[dependent], dependent))
    return order
