"""Where nothing goes wrong but the work itself, nothing is done twice: every call is paid for."""

from collections import Counter

from bench.simulate.violations import expect
from gpupool.jobs.model import JobStatus
from gpupool.units.model import UnitStatus
from gpupool.workflow.decide import fans_out
from gpupool.world import World


def check_thrift(world: World, calls: Counter[str], *, executions: int, rung: int, buried: int) -> None:
    """``calls`` of the functions to their ports. ``executions``: how many there were. ``rung``: how many bells rows asked for.
    ``buried``: how many became dead letters, which may ring again."""
    expect(calls["executions.start"] == executions, "an execution is started once", (calls["executions.start"], executions))
    expect(rung <= calls["queue.ring"] <= rung + buried, "a bell is rung once", (calls["queue.ring"], rung, buried))
    wide = [unit for rows in world.units.values() for unit in rows.values() if fans_out(unit)]
    expect(
        calls["jobs.note_fan_out"] <= len(wide), "only a fan-out is left to a round", (calls["jobs.note_fan_out"], len(wide))
    )
    # Whoever ends a job before its last unit may find that a debit is on its way, and posts it again.
    units = [
        unit
        for job in world.jobs.values()
        for unit in world.units.get(job.id, {}).values()
        if unit.status is UnitStatus.COMPLETED or job.status is not JobStatus.COMPLETED
    ]
    expect(calls["transitions.settle"] <= len(units), "a debit is posted once", (calls["transitions.settle"], len(units)))
