"""A heartbeat of whatever attempt: whether the work goes on and until when, what the row says then, who hears its bell, and
when the machine is to call again."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from itertools import product
from typing import Any

from gpupool.units.cadence import Cadence
from gpupool.units.heartbeats import Heartbeats
from gpupool.units.model import Unit, UnitStatus
from gpupool.units.signing import Signing
from gpupool.wire.units import Doorway, Lease, LogChunk, Progress, RunningUnit, UnitVerdict
from tests.factories import NOW, a_lease, a_unit
from tests.states.tables import (
    BELL,
    CADENCE,
    FOREIGN,
    HEARD,
    ME,
    OWN,
    SECOND,
    SOMEBODY,
    VISIBILITY_SECONDS,
    WORKER,
    Tables,
)

HELD = Lease(attempt=2, lease_token="held")
SAID = Progress(fraction=0.75, stage="running", metrics={"loss": 0.25})
CHUNK = LogChunk(seq=3, size_bytes=7, sha256="c" * 64)


@dataclass(frozen=True, slots=True)
class State:
    unit: Unit | None
    age: int = 0
    doorway: Doorway | None = BELL
    progress: Progress = SAID
    chunk: LogChunk | None = None


def running(**changes: Any) -> Unit:
    defaults: dict[str, Any] = {
        "status": UnitStatus.RUNNING,
        "attempt": 2,
        "started_at": NOW - 100 * SECOND,
        "lease": a_lease(token="held", node_id=ME, expires_at=NOW + SECOND, deadline=NOW + timedelta(hours=1)),
        "progress_stage": "claimed",
        "progress_fraction": 0.5,
        "metrics": {"loss": 0.5},
    }
    return a_unit(**(defaults | changes))


def states() -> Iterator[State]:
    ends = (NOW - 600 * SECOND, NOW - SECOND, NOW, NOW + SECOND)
    for node, token, end, age in product((ME, SOMEBODY), ("held", "other"), ends, (0, 20, 100, 5_000)):
        deadlines = (end, NOW - SECOND, NOW, NOW + 0.5 * SECOND, NOW + 90 * SECOND, NOW + timedelta(hours=1))
        for attempt, deadline in product((1, 2), deadlines):
            lease = a_lease(token=token, node_id=node, expires_at=end, deadline=deadline)
            yield State(running(attempt=attempt, lease=lease), age)
    yield State(None)
    yield from (State(a_unit(status=status, attempt=2)) for status in UnitStatus)
    for fraction, stage, metrics in product((None, 0.0, 0.75), ("", "claimed", "uploading"), ({}, {"loss": 0.25})):
        yield State(running(), progress=Progress(fraction=fraction, stage=stage, metrics=metrics))
    for doorway, chunk in product((None, BELL, Doorway(queue_url=FOREIGN, receipt_handle=HEARD)), (None, CHUNK)):
        yield State(running(), doorway=doorway, chunk=chunk)


def holds(state: State) -> bool:
    lease = state.unit.lease if state.unit is not None else None
    return (
        lease is not None
        and state.unit is not None
        and (state.unit.attempt, lease.token) == (2, "held")
        and lease.deadline > NOW
    )


def lasts_until(state: State) -> datetime:
    """As long as the next beat takes and 40 seconds more, but never beyond the deadline."""
    assert state.unit is not None
    assert state.unit.lease is not None
    return min(state.unit.lease.deadline, NOW + (min(max(20, state.age), 300) + 40) * SECOND)


def expected_row(state: State) -> Unit | None:
    """What the machine says is kept, but that it claimed the unit just now: that is a word of the platform's own. Whose token
    it is the row cannot know; another machine that sends it keeps its holder's lease, and is sent away."""
    unit, said = state.unit, state.progress
    if unit is None or unit.lease is None or not holds(state):
        return unit
    return replace(
        unit,
        lease=replace(unit.lease, expires_at=lasts_until(state)),
        progress_fraction=unit.progress_fraction if said.fraction is None else said.fraction,
        progress_stage="" if said.stage == "claimed" else said.stage,
        metrics=said.metrics,
        version=unit.version + 1,
    )


def heartbeats_over(tables: Tables, cadence: Cadence = CADENCE) -> Heartbeats:
    return Heartbeats(
        units=tables.units, signing=Signing(tables.objects), queue=tables.queue, clock=tables.clock, cadence=cadence
    )


def test_every_heartbeat_is_judged_by_the_row(each: Any) -> None:
    for state in each(states()):
        tables = Tables([state.unit] if state.unit is not None else [])
        tables.ring(a_unit().id)
        beat = RunningUnit(
            unit_id=a_unit().id,
            lease=HELD,
            doorway=state.doorway,
            age_seconds=state.age,
            progress=state.progress,
            log_chunk=state.chunk,
        )
        said = heartbeats_over(tables).renew(WORKER, beat)
        assert tables.units.get(a_unit().id) == expected_row(state), state
        mine = state.unit is not None and state.unit.lease is not None and state.unit.lease.node_id == ME
        if not (mine and holds(state)):
            cancelled = state.unit is not None and state.unit.status is UnitStatus.CANCELLED
            verdict = UnitVerdict.CANCEL if cancelled else UnitVerdict.LEASE_LOST
            assert (said.verdict, said.lease_expires_at, said.lease_seconds, said.log_upload) == (verdict, None, None, None), (
                state
            )
            assert tables.seconds_until_heard(OWN) == VISIBILITY_SECONDS, state
            continue
        seconds = (lasts_until(state) - NOW).total_seconds()
        assert (said.verdict, said.lease_expires_at) == (UnitVerdict.CONTINUE, lasts_until(state)), state
        assert said.lease_seconds == int(seconds), state
        hidden = -int(-seconds // 1) + 1 if state.doorway == BELL else VISIBILITY_SECONDS
        assert tables.seconds_until_heard(OWN) == hidden, state
        assert (said.log_upload is not None) is (state.chunk is not None), state
        if said.log_upload is not None:
            assert f"logs/{tables.job_id}/{a_unit().id}/2/000003.txt" in said.log_upload.url


def test_a_machine_calls_again_when_its_youngest_attempt_asks_for_it(each: Any) -> None:
    for ages, seconds in each((((), 300), ((5_000,), 300), ((0, 5_000), 20), ((90, 40), 40))):
        beats = [RunningUnit(unit_id=a_unit().id, lease=HELD, age_seconds=age) for age in ages]
        assert heartbeats_over(Tables()).next_beat(beats) == seconds


def test_beats_grow_rarer_and_leases_last_over_the_next_one(each: Any) -> None:
    """The age of an attempt doubles from one beat to the next, between the first interval and the longest; a longest one below
    the first counts as that."""
    for first, most, age in each(product((10, 20, 60), (10, 20, 60), (0, 10, 15, 20, 59, 60, 61, 500))):
        cadence = Cadence(first, most, 75)
        beat = min(max(first, age), max(first, most))
        assert (cadence.next_beat(age), cadence.idle_beat()) == (beat, max(first, most))
        assert cadence.lease(age) == timedelta(seconds=beat + 75 - first)
