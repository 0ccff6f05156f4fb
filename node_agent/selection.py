"""Which lane of a sweep is the best. The agent chooses, for it alone can fetch: of the others not one file is moved."""

from collections.abc import Iterable
from dataclasses import dataclass

from gpupool.wire.failures import FailureCode
from gpupool.wire.vocabulary import UnitRole
from node_agent.errors import UnitFailedError

# In a lane's own order, so that what an evaluation measured counts for more than what its training did.
_ORDER = {UnitRole.TRAIN: 0, UnitRole.RUN: 1, UnitRole.EVALUATE: 2}


@dataclass(frozen=True, slots=True)
class Trial:
    """One unit of a sweep and the last value that it measured of the objective."""

    unit_id: str
    name: str
    role: UnitRole
    measured: float | None

    @property
    def lane(self) -> str:
        """What follows the role in the name: ``train_000`` and ``evaluate_000`` are of one lane."""
        return self.name.removeprefix(self.role.value).strip("_-") or self.name


@dataclass(frozen=True, slots=True)
class Lane:
    name: str
    trials: tuple[Trial, ...]

    @property
    def measured(self) -> float | None:
        values = [trial.measured for trial in self.trials if trial.measured is not None]
        return values[-1] if values else None


@dataclass(frozen=True, slots=True)
class Selection:
    """The chosen lane and, as the job's customer reads it, what it was chosen from."""

    unit_ids: list[str]
    document: dict[str, object]


def select(trials: Iterable[Trial], *, objective: str, goal: str | None) -> Selection:
    """The lane with the best last value of the objective; the first of equals.

    Raises ``UnitFailedError`` when no lane measured it.
    """
    lanes = _lanes_of(trials)
    best = _best(lanes, goal)
    if best is None:
        raise UnitFailedError(FailureCode.SCRIPT_FAILED, f"No unit of the sweep reported the metric {objective!r}.")
    table = [
        {
            "lane": lane.name,
            "units": [trial.name for trial in lane.trials],
            "metrics": {} if lane.measured is None else {objective: lane.measured},
        }
        for lane in lanes
    ]
    document: dict[str, object] = {"objective": objective, "goal": goal, "selected": best.name, "lanes": table}
    return Selection([trial.unit_id for trial in best.trials], document)


def _lanes_of(trials: Iterable[Trial]) -> list[Lane]:
    grouped: dict[str, list[Trial]] = {}
    for trial in trials:
        grouped.setdefault(trial.lane, []).append(trial)
    return [
        Lane(name, tuple(sorted(members, key=lambda trial: (_ORDER.get(trial.role, 3), trial.name))))
        for name, members in sorted(grouped.items())
    ]


def _best(lanes: list[Lane], goal: str | None) -> Lane | None:
    sign = -1.0 if goal == "minimize" else 1.0
    scored = [(sign * lane.measured, lane) for lane in lanes if lane.measured is not None]
    return max(scored, key=lambda each: each[0])[1] if scored else None
