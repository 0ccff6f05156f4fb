"""Where nothing goes wrong but the work itself, nothing is done twice: every call is paid for."""

from collections import Counter
from collections.abc import Iterable, Mapping

from bench.simulate.streams import Change
from bench.simulate.violations import expect, expect_equal
from gpupool.ids import unit_id
from gpupool.jobs.model import Job, JobStatus
from gpupool.units.model import Unit, UnitStatus
from gpupool.workflow.decide import fans_out
from gpupool.world import World


def check_thrift(world: World, calls: Counter[str], *, executions: int, rung: int) -> None:
    """``calls`` of the functions to their ports. ``executions``: how many there were. ``rung``: how many bells rows asked for,
    and dead letters that rang again."""
    expect_equal(calls["executions.start"], executions, "an execution is started once")
    expect_equal(calls["queue.ring"], rung, "a bell is rung once")
    wide = [unit for rows in world.units.values() for unit in rows.values() if fans_out(unit)]
    expect(
        calls["jobs.note_fan_out"] <= len(wide), "only a fan-out is left to a round", (calls["jobs.note_fan_out"], len(wide))
    )
    waits = sum(_waits(job, len(world.units.get(job.id, {}))) for job in world.jobs.values())
    expect(calls["jobs.park"] <= waits, "an execution that is woken has something to do", (calls["jobs.park"], waits))
    # And a round that saw nothing under way, for it saw each unit just before, repeats what follows from a job's units.
    debits = max((len(units) for units in world.units.values()), default=0)
    for job in world.jobs.values():
        # Whoever ends a job before its last unit may find that a debit is on its way, and posts it again.
        times = 1 if job.status is JobStatus.COMPLETED else 2
        debits += times * sum(unit.status is UnitStatus.COMPLETED for unit in world.units.get(job.id, {}).values())
    expect(calls["transitions.settle"] <= debits, "a debit is posted once", (calls["transitions.settle"], debits))


def check_record(change: Change, units: Mapping[str, Unit], *, reads: int, released: Iterable[str]) -> None:
    """What a function did with a record of a job or a unit. ``reads`` of the job: it looks where it may have somebody to wake,
    and only there. ``units`` of its job, and which of them were ``released`` meanwhile. One of its own class takes the room
    that it makes."""
    before, after = change.before, change.after
    if isinstance(after, Job):
        asked = after.cancel_requested_at is not None and (before is None or before.cancel_requested_at is None)
        expect_equal(reads, int(asked), f"{after.id}: a cancel wakes the execution, and nothing else of a job does")
        return
    moved = before is None or before.status is not after.status
    ended = moved and after.status in (UnitStatus.COMPLETED, UnitStatus.FAILED, UnitStatus.REJECTED)
    behind = [unit_id(after.job_id, index) for index in (*after.dependents, *after.gathered_by)]
    may = ended and (fans_out(after) or all(units[each].capability is not after.capability for each in released))
    # Somebody else may have released them before. Where none is of its class, nobody can have taken its room.
    must = ended and (fans_out(after) or all(units[each].capability is not after.capability for each in behind))
    woken = (after.id, after.status, reads)
    expect(reads <= int(may), "a unit wakes its execution once it ended and opened none", woken)
    expect(reads >= int(must), "a unit that made room wakes its execution", woken)


def _waits(job: Job, units: int) -> float:
    """How often its execution may wait: a unit's end may open others or make room, and it looks once a minute at most."""
    lived = (job.finished_at - job.created_at).total_seconds() if job.finished_at is not None else 0.0
    return 3 + 2 * units + lived / 60
