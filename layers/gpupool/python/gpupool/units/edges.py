"""The edges of a job's DAG, kept so that no row grows with the job: sets of indexes in short, and gates for units that need
many others.

A gate is a row of its own with the open needs of one stretch of indexes. A completed unit is taken out of its gate; who
empties the gate takes the gate out of the unit's ``open_needs``. Both removals may be repeated.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

# Up to here the needs stand in the unit's own row.
MOST_OWN_NEEDS = 8
# Indexes per gate; a full gate's row stays below 1 KB, which one write unit pays for.
_STRETCH = 128


@dataclass(frozen=True, slots=True)
class Gate:
    """One stretch of the needs of unit ``unit_id`` that are not met yet."""

    unit_id: str
    number: int
    open_needs: frozenset[int]


def gathers(needs: tuple[int, ...]) -> bool:
    """Whether a unit with these needs keeps gates."""
    return len(needs) > MOST_OWN_NEEDS


def gate_of(need: int) -> int:
    """The number of the gate that ``need`` belongs to."""
    return need // _STRETCH


def gates_of(unit_id: str, needs: tuple[int, ...]) -> tuple[Gate, ...]:
    """The gates of a unit that gathers; none for others."""
    if not gathers(needs):
        return ()
    stretches: dict[int, set[int]] = {}
    for need in needs:
        stretches.setdefault(gate_of(need), set()).add(need)
    return tuple(Gate(unit_id, number, frozenset(open_needs)) for number, open_needs in stretches.items())


def first_open_needs(needs: tuple[int, ...]) -> frozenset[int]:
    """What a new unit with these needs waits for: the needs themselves, or its gates."""
    return frozenset(gate_of(need) for need in needs) if gathers(needs) else frozenset(needs)


def in_short(indexes: tuple[int, ...]) -> str:
    """Ascending indexes as text: ``0,4-9,11-199/2``. A sweep of 100,000 units is named in a few characters."""
    return ",".join(_run_text(*run) for run in _runs(indexes))


def in_full(text: str) -> tuple[int, ...]:
    """The indexes that ``in_short`` wrote."""
    return tuple(index for part in text.split(",") if part for index in _run_of(part))


def _runs(indexes: Iterable[int]) -> Iterator[tuple[int, int, int]]:
    """First, last and step of each stretch of equal steps."""
    first = last = step = None
    for index in indexes:
        if first is None or last is None:
            first = last = index
        elif step is None or index - last == step:
            step, last = index - last, index
        else:
            yield first, last, step
            first, last, step = index, index, None
    if first is not None and last is not None:
        yield first, last, step or 1


def _run_text(first: int, last: int, step: int) -> str:
    if first == last:
        return str(first)
    return f"{first}-{last}" if step == 1 else f"{first}-{last}/{step}"


def _run_of(part: str) -> Iterable[int]:
    stretch, _, step = part.partition("/")
    first, _, last = stretch.partition("-")
    return range(int(first), int(last or first) + 1, int(step or 1))
