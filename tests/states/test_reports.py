"""A report, by whoever and about whatever attempt: whether it is taken, what the unit is then, who hears its bell again; and
the same of a heartbeat."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from hashlib import sha256
from itertools import product
from typing import Any

from gpupool.planning.pricing import charge
from gpupool.units.heartbeats import Heartbeats
from gpupool.units.model import NodeFault, Output, Unit, UnitStatus
from gpupool.units.reports import Reports
from gpupool.units.signing import Signing, output_key
from gpupool.wire.failures import Blame, FailureCode
from gpupool.wire.units import CompleteRequest, FailRequest, Lease, OutputFile, RunningUnit, UnitVerdict
from gpupool.wire.vocabulary import ArtifactKind, UnitRole
from tests.factories import NOW, a_lease, a_unit, some_work
from tests.states.rooms import CADENCE, ME, OWN, SOMEBODY, WORKER, Crossing, Tables, answer_of

SECOND = timedelta(seconds=1)
STARTED = NOW - 100 * SECOND
UNHEARD = 30
LOST, MISSING = "LEASE_LOST", "OUTPUT_MISSING"
CONTENT = b"content"
MODEL = OutputFile(name="model.tar.gz", kind=ArtifactKind.MODEL, size_bytes=7, sha256=sha256(CONTENT).hexdigest())
LOG = OutputFile(name="log.txt", kind=ArtifactKind.LOGS, size_bytes=7, sha256=sha256(CONTENT).hexdigest())
# One is not what lies there, the other is longer than that.
OTHERWISE = MODEL.model_copy(update={"sha256": "c" * 64})
LONGER = MODEL.model_copy(update={"size_bytes": 8})
HELD = Lease(attempt=2, lease_token="held")
# Causes that no other machine can change, and those that are the user's but may be a machine's doing once.
HOPELESS = frozenset(
    {
        "TIMED_OUT",
        "NO_MODEL",
        "LOG_LIMIT_EXCEEDED",
        "OUTPUT_TOO_LARGE",
        "PROCESS_LIMIT_EXCEEDED",
        "PACKAGE_INVALID",
        "DISK_FULL",
    }
)
USERS = frozenset({"SCRIPT_FAILED", "OUT_OF_MEMORY", "DATASET_MISMATCH", "ENVIRONMENT_FAILED"})
SAID_BY_NODES = [code for code in FailureCode if code not in ("PLANNING_FAILED", "DISPATCH_FAILED", "LEASE_EXPIRED")]


@dataclass(frozen=True, slots=True)
class State:
    """``stored``: names of the files that lie in the attempt's folder."""

    unit: Unit | None
    report: CompleteRequest | FailRequest
    stored: tuple[str, ...] = (MODEL.name, LOG.name)


@dataclass(frozen=True, slots=True)
class Owed:
    """``answer``: the status and whether the report counts, or the code of a refusal."""

    answer: object
    heard_in: float | None
    unit: Unit | None


def running(**changes: Any) -> Unit:
    """On its second attempt, with a lease that lapsed a moment ago and that nobody took over."""
    defaults: dict[str, Any] = {
        "status": UnitStatus.RUNNING,
        "attempt": 2,
        "lease": a_lease(token="held", node_id=ME, expires_at=NOW - SECOND),
        "started_at": STARTED,
        "metrics": {"loss": 0.5},
        "rung_at": STARTED,
        "progress_stage": "running",
        "progress_fraction": 0.5,
    }
    return a_unit(**(defaults | changes))


def complete(**changes: Any) -> CompleteRequest:
    defaults: dict[str, Any] = {"lease": HELD, "outputs": [MODEL], "runtime_seconds": 70, "peak_memory_mb": 5}
    return CompleteRequest(**(defaults | changes))


def failure(code: FailureCode, **changes: Any) -> FailRequest:
    said: dict[str, Any] = {"message": "no", "log_tail": "end", "exit_code": 3, "runtime_seconds": 70, "outputs": [LOG]}
    return FailRequest(code=code, **({"lease": HELD} | said | changes))


def states() -> Iterator[State]:
    reports = (complete(), failure(FailureCode.SANDBOX_FAILED), failure(FailureCode.DISK_FULL))
    rows = (
        None,
        *(a_unit(status=each, attempt=2, completed_by=by) for each in UnitStatus for by in (None, "held", "other")),
        running(attempt=1),
        running(attempt=3),
        running(lease=a_lease(token="other", node_id=ME)),
        running(lease=a_lease(token="held", node_id=SOMEBODY)),
        running(completed_by="held", lease=a_lease(token="other", node_id=SOMEBODY)),
        running(completed_by="earlier"),
    )
    yield from (State(unit, report) for unit, report in product(rows, reports) if not _holds(unit) or unit is None)
    for role, outputs in product(UnitRole, ([], [LOG], [MODEL], [LOG, MODEL], [OTHERWISE], [LONGER])):
        for stored in ((), (LOG.name,), (MODEL.name,), (LOG.name, MODEL.name)):
            yield State(running(work=some_work(role=role)), complete(outputs=outputs), stored)
    for seconds, metrics in product((0, 70, 100, 101, 5_000), ({}, {"loss": 0.25})):
        yield State(running(completed_by="earlier"), complete(runtime_seconds=seconds, metrics=metrics))
    yield from failures()


def failures() -> Iterator[State]:
    faults = (
        (),
        (NodeFault(ME, 0, STARTED),),
        (NodeFault(ME, 2, STARTED), NodeFault(SOMEBODY, 1, NOW)),
        tuple(NodeFault(f"node-{100 + each}", 1, STARTED) for each in range(10)),
    )
    for code, most, known in product(SAID_BY_NODES, (2, 3, 9, 10), faults):
        for attempt in (1, 2, most):
            report = failure(code, lease=Lease(attempt=attempt, lease_token="held"))
            yield State(running(attempt=attempt, max_attempts=most, faults=known), report)
            yield State(running(attempt=attempt, max_attempts=most, faults=known), report, stored=())


def _holds(unit: Unit | None) -> bool:
    lease = unit.lease if unit is not None else None
    mine = lease is not None and (lease.token, lease.node_id) == ("held", ME)
    return unit is not None and mine and unit.attempt == 2 and unit.status is UnitStatus.RUNNING


def owed(state: State) -> Owed:
    unit, report = state.unit, state.report
    lease = unit.lease if unit is not None else None
    held = unit is not None and unit.status is UnitStatus.RUNNING and lease is not None and unit.attempt == report.lease.attempt
    if unit is None or not (held and lease is not None and lease.token == "held"):
        if unit is not None and unit.completed_by == "held":
            return Owed((unit.status, False), None, unit)
        return Owed(LOST, UNHEARD, unit)
    if lease.node_id != ME:
        return Owed(LOST, UNHEARD, unit)
    ended = owed_completed(unit, report) if isinstance(report, CompleteRequest) else owed_failed(unit, report)
    is_over = ended is not None and ended.status is not UnitStatus.QUEUED
    if ended is None or (is_over and not all(is_stored(file, state) for file in report.outputs)):
        return Owed(MISSING, UNHEARD, unit)
    left = tuple(Output(file.name, file.kind, file.size_bytes, file.sha256) for file in report.outputs) if is_over else ()
    written = replace(ended, lease=None, completed_by="held", outputs=left, version=unit.version + 1)
    return Owed((ended.status, True), None, written)


def is_stored(file: OutputFile, state: State) -> bool:
    return file.name in state.stored and file not in (OTHERWISE, LONGER)


def owed_completed(unit: Unit, report: CompleteRequest) -> Unit | None:
    """None for a unit that is paid for its model and has none. Nobody is charged for longer than the platform has seen."""
    paid_for_a_model = unit.work.role in (UnitRole.TRAIN, UnitRole.PACKAGE, UnitRole.SELECT)
    if paid_for_a_model and all(file.kind is not ArtifactKind.MODEL for file in report.outputs):
        return None
    runtime = min(report.runtime_seconds, 100.0)
    return replace(
        unit,
        status=UnitStatus.COMPLETED,
        metrics=report.metrics or unit.metrics,
        progress_fraction=1.0,
        progress_stage="completed",
        finished_at=NOW,
        runtime_seconds=runtime,
        peak_memory_mb=5,
        credits=charge(unit.credits_max, unit.capability, runtime),
        failure=None,
    )


def owed_failed(unit: Unit, report: FailRequest) -> Unit:
    """A drained machine costs the unit no attempt, up to ten; a user's mistake is tried twice; the rest as often as allowed."""
    drained = report.code == "NODE_DRAINED"
    most = unit.max_attempts + (drained and unit.max_attempts < 10)
    allowed = min(most, 2) if report.code in USERS else most
    known = replace(unit, max_attempts=most, faults=faults_after(unit, str(report.code), drained=drained))
    if report.code not in HOPELESS and unit.attempt < allowed:
        return replace(known, status=UnitStatus.QUEUED, queued_at=NOW, rung_at=None, progress_stage="retrying")
    return replace(known, status=UnitStatus.FAILED, finished_at=NOW, runtime_seconds=70.0)


def faults_after(unit: Unit, code: str, *, drained: bool) -> tuple[NodeFault, ...]:
    """Of what is the machine's doing, or may be. The first drain counts as none; the ten latest machines are remembered."""
    mine = code in (HOPELESS | USERS) and code != "DATASET_MISMATCH"
    if mine:
        return unit.faults
    before = [fault.failures for fault in unit.faults if fault.node_id == ME]
    count = before[0] + 1 if before else (0 if drained else 1)
    others = [fault for fault in unit.faults if fault.node_id != ME]
    return tuple([*others, NodeFault(ME, count, NOW)][-10:])


def in_state(state: State) -> tuple[Tables, str, CompleteRequest | FailRequest]:
    """The tables in that state, and the report through a bell that was just heard."""
    unit = state.unit
    tables = Tables([unit] if unit is not None else [])
    for name in state.stored:
        if unit is not None:
            tables.objects.put(output_key(unit, name), CONTENT, content_type="application/octet-stream")
    unit_id = a_unit().id
    return tables, unit_id, state.report.model_copy(update={"doorway": tables.ring(unit_id).doorway})


def a_desk(tables: Tables, units: Any = None) -> Reports:
    return Reports(
        units=units or tables.units,
        inputs=tables.inputs,
        objects=tables.objects,
        signing=Signing(tables.objects),
        queue=tables.queue,
        clock=tables.clock,
    )


def report_in(state: State) -> Owed:
    tables, unit_id, report = in_state(state)
    answer = send(a_desk(tables), unit_id, report)
    row = tables.units.get(unit_id)
    if isinstance(report, FailRequest) and row is not None and row != state.unit:
        check_failure(state, report, row)
        row = replace(row, failure=None)
    return Owed(answer, tables.heard_in(OWN), row)


def send(desk: Reports, unit_id: str, report: CompleteRequest | FailRequest) -> object:
    take = desk.complete if isinstance(report, CompleteRequest) else desk.fail
    answer = answer_of(lambda: take(WORKER, unit_id, report))  # type: ignore[arg-type]
    return answer if isinstance(answer, str) else (answer.status, answer.accepted)


def check_failure(state: State, report: FailRequest, row: Unit) -> None:
    said = row.failure
    assert said is not None, state
    assert state.unit is not None
    assert (said.code, said.message, said.log_tail, said.exit_code) == (report.code, "no", "end", 3), state
    assert (said.unit_id, said.attempt) == (row.id, state.unit.attempt), state
    users = report.code in (HOPELESS | USERS)
    assert (said.blame is Blame.USER) is users, state


def test_every_report_is_judged_by_the_row(asked: Callable[[int], None]) -> None:
    count = 0
    for state in states():
        assert report_in(state) == owed(state), state
        count += 1
    asked(count)


def test_a_repeated_report_is_answered_alike_and_changes_nothing(asked: Callable[[int], None]) -> None:
    count = 0
    for state in states():
        tables, unit_id, report = in_state(state)
        desk = a_desk(tables)
        first = send(desk, unit_id, report)
        row = tables.units.get(unit_id)
        again = send(desk, unit_id, report)
        assert again == ((first[0], False) if isinstance(first, tuple) else first), state
        assert tables.units.get(unit_id) == row, state
        count += 1
    asked(count)


def test_who_takes_a_unit_over_between_a_reports_read_and_write_keeps_it() -> None:
    for report in (complete(), failure(FailureCode.SANDBOX_FAILED)):
        state = State(running(), report)
        tables, unit_id, heard = in_state(state)
        theirs = running(attempt=3, lease=a_lease(token="theirs", node_id=SOMEBODY, expires_at=NOW + SECOND))
        crossing = Crossing(tables.units, lambda to=tables.units, row=theirs: to.replace(row))
        assert send(a_desk(tables, crossing), unit_id, heard) == LOST
        assert tables.units.get(unit_id) == replace(theirs, version=2)


def beats() -> Iterator[tuple[Unit | None, int]]:
    ends = (NOW - 600 * SECOND, NOW - SECOND, NOW, NOW + SECOND)
    for node, token, end, age in product((ME, SOMEBODY), ("held", "other"), ends, (0, 20, 100, 5_000)):
        deadlines = (end, NOW - SECOND, NOW, NOW + 90 * SECOND, NOW + timedelta(hours=1))
        for attempt, deadline in product((1, 2), deadlines):
            lease = a_lease(token=token, node_id=node, expires_at=end, deadline=deadline)
            yield running(attempt=attempt, lease=lease), age
    yield None, 0
    yield from ((a_unit(status=status, attempt=2), 0) for status in UnitStatus)


def owed_beat(unit: Unit | None, age: int) -> tuple[UnitVerdict, datetime | None]:
    """Who holds the unit goes on, for as long as the next beat takes and 40 seconds more, but never beyond the deadline."""
    lease = unit.lease if unit is not None else None
    if unit is not None and lease is not None and (unit.attempt, lease.token) == (2, "held") and lease.deadline > NOW:
        if lease.node_id == ME:
            return UnitVerdict.CONTINUE, min(lease.deadline, NOW + (min(max(20, age), 300) + 40) * SECOND)
        return UnitVerdict.LEASE_LOST, None
    cancelled = unit is not None and unit.status is UnitStatus.CANCELLED
    return UnitVerdict.CANCEL if cancelled else UnitVerdict.LEASE_LOST, None


def test_every_heartbeat_is_judged_by_the_row(asked: Callable[[int], None]) -> None:
    count = 0
    for unit, age in beats():
        tables = Tables([unit] if unit is not None else [])
        heart = Heartbeats(
            units=tables.units, signing=Signing(tables.objects), queue=tables.queue, clock=tables.clock, cadence=CADENCE
        )
        doorway = tables.ring(a_unit().id).doorway
        said = heart.renew(WORKER, RunningUnit(unit_id=a_unit().id, lease=HELD, doorway=doorway, age_seconds=age))
        verdict, until = owed_beat(unit, age)
        seconds = None if until is None else (until - NOW).total_seconds()
        assert (said.verdict, said.lease_expires_at, said.lease_seconds) == (verdict, until, seconds), (unit, age)
        assert tables.heard_in(OWN) == (UNHEARD if seconds is None else seconds + 1), (unit, age)
        count += 1
    asked(count)


def test_a_machine_calls_again_when_its_youngest_attempt_asks_for_it() -> None:
    tables = Tables()
    heart = Heartbeats(
        units=tables.units, signing=Signing(tables.objects), queue=tables.queue, clock=tables.clock, cadence=CADENCE
    )
    for ages, seconds in (((), 300), ((5_000,), 300), ((0, 5_000), 20), ((90, 40), 40)):
        running_units = [RunningUnit(unit_id=a_unit().id, lease=HELD, age_seconds=age) for age in ages]
        assert heart.next_beat(running_units) == seconds
