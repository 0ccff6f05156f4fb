"""A round: one walk over a job's units, page by page. What it has seen so far travels in the execution's state."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace

from pydantic import TypeAdapter

from gpupool.ids import unit_id
from gpupool.jobs.model import Job, ReleaseWindow
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
    units whose debit should be there. ``under_way``, and of these ``running``: how many, by capability class. ``thorough``:
    repeat the consequences of completed units. ``broke_first``: when the first failure happened, and to which unit.

    ``low``, ``high``, ``held``, ``stragglers`` and ``reach`` become those of the job's release window. ``wanted``: the classes
    in which the round releases until one is held back again; None: in all, to the last unit. ``whole``: it began with the first
    unit. ``counted``: how many units were paid when it began. ``released``: how many it released. ``writes``: what the current
    step has written.
    """

    after: str = ""
    fan_outs: frozenset[int] = frozenset()
    overdue: int = 0
    under_way: Mapping[str, int] = field(default_factory=dict)
    running: Mapping[str, int] = field(default_factory=dict)
    thorough: bool = False
    broke_first: tuple[str, str] | None = None
    low: int = 0
    high: int | None = None
    held: frozenset[str] = frozenset()
    stragglers: frozenset[int] = frozenset()
    reach: int = 0
    wanted: frozenset[str] | None = None
    whole: bool = True
    counted: int = 0
    released: int = 0
    writes: int = 0

    @property
    def cursor(self) -> str:
        return _ADAPTER.dump_json(self).decode()

    def is_done_at(self, index: int) -> bool:
        """Whether nothing that this round is for is left behind the unit of that index."""
        return self.wanted is not None and self.wanted <= self.held and index >= self.reach


_ADAPTER = TypeAdapter(Round)


def round_at(cursor: str) -> Round | None:
    """The round that a step left off; None at the start."""
    return replace(_ADAPTER.validate_json(cursor), writes=0) if cursor else None


def round_over(job: Job) -> Round:
    """A round over every unit."""
    return Round(fan_outs=job.fan_outs, counted=job.units_completed)


def round_behind(job: Job, window: ReleaseWindow) -> Round:
    """A round that begins behind what is completed anyway, and ends when enough is released, or with the last unit."""
    after = unit_id(job.id, window.low - 1) if window.low else ""
    wanted = window.held or None
    return replace(round_over(job), after=after, low=window.low, reach=window.reach, wanted=wanted, whole=window.low == 0)


def thorough_round_over(job: Job) -> Round:
    """One that does again what follows from the completed units."""
    return replace(round_over(job), thorough=True)


def walk(units: UnitStore, job_id: str, walked: Round, visit: Callable[[Unit, Round], Round]) -> tuple[Round, bool]:
    """Visits a job's units as long as a step may take; the round after that, and whether it has to go on."""
    for _ in range(_PAGES):
        key: Key | None = {"job_id": job_id, "unit_id": walked.after} if walked.after else None
        page = units.page(job_id, limit=PAGE, key=key)
        for unit in page.items:
            walked = visit(unit, walked)
            if walked.writes >= PAGE:
                return replace(walked, after=unit.id), True
        if page.next_key is None or walked.is_done_at(page.items[-1].index):
            return walked, False
        walked = replace(walked, after=page.items[-1].id)
    return walked, True


def begins_a_walk(cursor: str) -> bool:
    """Whether the round at ``cursor`` has not seen a unit yet."""
    walked = round_at(cursor)
    return walked is not None and not walked.after
