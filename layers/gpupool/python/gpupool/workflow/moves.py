"""Moves of units, written over the version that they were decided on."""

from collections.abc import Callable

from gpupool.errors import StaleWrite
from gpupool.units.model import Unit
from gpupool.units.store import UnitStore


def apply_move(units: UnitStore, unit: Unit, move: Callable[[Unit], Unit | None]) -> Unit:
    """Writes a move and returns the row as it is then; one that changed meanwhile is decided again, until there is nothing
    to do."""
    current = unit
    while (moved := move(current)) is not None:
        try:
            return units.replace(moved)
        except StaleWrite:
            fresh = units.get(unit.id)
            if fresh is None:
                raise LookupError(f"unit {unit.id} is gone") from None
            current = fresh
    return current
