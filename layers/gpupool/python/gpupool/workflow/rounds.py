"""A round: one walk over a job's units, page by page. What it has seen so far travels in the execution's state."""

from collections.abc import Callable
from dataclasses import dataclass, replace

from pydantic import TypeAdapter

from gpupool.ids import unit_id
from gpupool.jobs.model import Job
from gpupool.pages import Key
from gpupool.units.model import Unit
from gpupool.units.store import UnitStore

# Units per page, and writes per step: each takes some milliseconds, and a step has seconds, not minutes.
PAGE = 300
# Pages per step when there is little to write.
_PAGES = 10


@dataclass(frozen=True, slots=True)
class Round:
    """``after``: the last unit seen. ``fan_outs``: completed units whose dependents this round opens. ``overdue``: completed
    units whose debit should be there. ``thorough``: repeat the consequences of completed units. ``broke_first``: when the first
    failure happened, and to which unit.

    ``low``, ``high`` and ``reach`` are those of the job's next release window. ``counted``: how many units were paid when the
    round began. ``writes``: what the current step has written.
    """

    after: str = ""
    fan_outs: frozenset[int] = frozenset()
    overdue: int = 0
    under_way: int = 0
    running: int = 0
    thorough: bool = False
    broke_first: tuple[str, str] | None = None
    low: int = 0
    high: int | None = None
    reach: int = 0
    counted: int = 0
    writes: int = 0

    @property
    def cursor(self) -> str:
        return _ADAPTER.dump_json(self).decode()

    def is_done_at(self, index: int) -> bool:
        """Whether nothing that could be done is left behind the unit of that index."""
        return self.high is not None and index >= max(self.high, self.reach)


_ADAPTER = TypeAdapter(Round)


def round_at(cursor: str) -> Round | None:
    """The round that a step left off; None at the start."""
    return _ADAPTER.validate_json(cursor) if cursor else None


def round_over(job: Job, *, overdue: int = 0) -> Round:
    """A round that begins behind what is completed anyway. ``overdue``: how many of these are so since a while ago."""
    low, reach = (job.window.low, job.window.reach) if job.window is not None else (0, 0)
    after = unit_id(job.id, low - 1) if low else ""
    counted = job.units_completed
    return Round(after=after, fan_outs=job.fan_outs, overdue=overdue, low=low, reach=reach, counted=counted)


def thorough_round_over(job: Job) -> Round:
    """A round over every unit, which does again what follows from the completed ones."""
    return Round(fan_outs=job.fan_outs, thorough=True, counted=job.units_completed)


def walk(units: UnitStore, job_id: str, walked: Round, visit: Callable[[Unit, Round], Round]) -> tuple[Round, bool]:
    """Visits a job's units as long as a step may take; the round after that, and whether it has to go on."""
    walked = replace(walked, writes=0)
    for _ in range(_PAGES):
        key: Key | None = {"job_id": job_id, "unit_id": walked.after} if walked.after else None
        page = units.page(job_id, limit=PAGE, key=key)
        for unit in page.items:
            walked = visit(unit, walked)
        if page.next_key is None or walked.is_done_at(page.items[-1].index):
            return walked, False
        walked = replace(walked, after=page.items[-1].id)
        if walked.writes >= PAGE:
            break
    return walked, True


def begins_a_walk(cursor: str) -> bool:
    """Whether the round at ``cursor`` has not seen a unit yet."""
    walked = round_at(cursor)
    return walked is not None and not walked.after
