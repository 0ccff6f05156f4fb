"""A round: one walk over all units of a job, page by page. What it has seen so far travels in the execution's state."""

from collections.abc import Callable
from dataclasses import dataclass, replace

from pydantic import TypeAdapter

from gpupool.pages import Key
from gpupool.units.model import Unit
from gpupool.units.store import UnitStore

# Units per step. Each may cost a write of some milliseconds, and a step has seconds, not minutes.
PAGE = 300


@dataclass(frozen=True, slots=True)
class Round:
    """``after``: the last unit seen. ``fan_outs``: completed units whose dependents this round opens. ``overdue``: completed
    units whose debit should be there. ``thorough``: repeat the consequences of completed units. ``broke_first``: when the first
    failure happened, and to which unit."""

    after: str = ""
    fan_outs: frozenset[int] = frozenset()
    overdue: int = 0
    under_way: int = 0
    thorough: bool = False
    broke_first: tuple[str, str] | None = None

    @property
    def cursor(self) -> str:
        return _ADAPTER.dump_json(self).decode()


_ADAPTER = TypeAdapter(Round)


def round_at(cursor: str) -> Round | None:
    """The round that a step left off; None at the start."""
    return _ADAPTER.validate_json(cursor) if cursor else None


def walk(units: UnitStore, job_id: str, walked: Round, visit: Callable[[Unit, Round], Round]) -> tuple[Round, bool]:
    """Visits the next page of a job's units; the round after it, and whether there are units beyond."""
    key: Key | None = {"job_id": job_id, "unit_id": walked.after} if walked.after else None
    page = units.page(job_id, limit=PAGE, key=key)
    for unit in page.items:
        walked = visit(unit, walked)
    if page.next_key is None:
        return walked, False
    return replace(walked, after=page.items[-1].id), True


def begins_a_walk(cursor: str) -> bool:
    """Whether the round at ``cursor`` has not seen a unit yet."""
    walked = round_at(cursor)
    return walked is not None and not walked.after
