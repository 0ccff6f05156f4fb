"""A report, by whoever and about whatever attempt: whether it is taken, what the unit is then, and who hears its bell again."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import partial
from hashlib import sha256
from itertools import product
from typing import Any

from gpupool.planning.pricing import charge
from gpupool.units.model import Failure, NodeFault, Output, Unit, UnitStatus
from gpupool.units.reports import Reports
from gpupool.units.signing import Signing
from gpupool.wire.failures import Blame, FailureCode
from gpupool.wire.units import CompleteRequest, Doorway, FailRequest, InputsRequest, Lease, OutputFile, OutputsRequest
from gpupool.wire.vocabulary import ArtifactKind, UnitRole
from tests.factories import NOW, a_lease, a_unit, some_work
from tests.states.tables import (
    BELL,
    FAILED,
    FOREIGN,
    HEARD,
    ME,
    OWN,
    SECOND,
    SOMEBODY,
    VISIBILITY_SECONDS,
    WORKER,
    Crossing,
    Tables,
    answer_of,
)

STARTED = NOW - 100 * SECOND
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
    """``stored``: names of the files that lie in the attempt's folder. ``doorway``: the one that the report names."""

    unit: Unit | None
    report: CompleteRequest | FailRequest
    stored: tuple[str, ...] = (MODEL.name, LOG.name)
    doorway: Doorway | None = BELL


@dataclass(frozen=True, slots=True)
class Expected:
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
        "failure": FAILED,
        "peak_memory_mb": 1,
    }
    return a_unit(**(defaults | changes))


def complete(**changes: Any) -> CompleteRequest:
    defaults: dict[str, Any] = {"lease": HELD, "outputs": [MODEL], "runtime_seconds": 70, "peak_memory_mb": 5}
    return CompleteRequest(**(defaults | changes))


def failure(code: FailureCode, **changes: Any) -> FailRequest:
    said: dict[str, Any] = {"message": "no", "log_tail": "end", "exit_code": 3, "runtime_seconds": 70, "outputs": [LOG]}
    return FailRequest(code=code, **({"lease": HELD} | said | changes))


def rows() -> Iterator[Unit | None]:
    """Units that are held by this lease, and many that are not."""
    yield None
    yield from (a_unit(status=each, attempt=2, completed_by=by) for each in UnitStatus for by in (None, "held", "other"))
    yield from (running(attempt=attempt) for attempt in (1, 2, 3))
    yield running(lease=a_lease(token="other", node_id=ME))
    yield running(lease=a_lease(token="held", node_id=SOMEBODY))
    yield running(completed_by="held", lease=a_lease(token="other", node_id=SOMEBODY))
    yield running(completed_by="earlier")


def states() -> Iterator[State]:
    reports = (complete(), failure(FailureCode.SANDBOX_FAILED), failure(FailureCode.DISK_FULL))
    stale, foreign = Doorway(queue_url=OWN, receipt_handle="stale"), Doorway(queue_url=FOREIGN, receipt_handle=HEARD)
    for unit, report, doorway in product(rows(), reports, (None, BELL, stale, foreign)):
        yield State(unit, report, doorway=doorway)
    for role, outputs in product(UnitRole, ([], [LOG], [MODEL], [LOG, MODEL], [OTHERWISE], [LONGER])):
        for stored in ((), (LOG.name,), (MODEL.name,), (LOG.name, MODEL.name)):
            yield State(running(work=some_work(role=role)), complete(outputs=outputs), stored)
    # Also when this clock runs behind the one that noted the claim.
    for seconds, metrics, started in product((0, 70, 100, 101, 5_000), ({}, {"loss": 0.25}), (STARTED, NOW + SECOND)):
        unit = running(completed_by="earlier", started_at=started)
        yield State(unit, complete(runtime_seconds=seconds, metrics=metrics))
        yield State(unit, failure(FailureCode.DISK_FULL, runtime_seconds=seconds))
    yield from failures()


def failures() -> Iterator[State]:
    faults = (
        (),
        (NodeFault(ME, 0, STARTED),),
        (NodeFault(ME, 2, STARTED), NodeFault(SOMEBODY, 1, NOW)),
        tuple(NodeFault(f"node-{100 + each}", 1, STARTED) for each in range(10)),
    )
    for code, most, known in product(SAID_BY_NODES, (2, 3, 9, 10), faults):
        for attempt, stored in product((1, 2, most), ((LOG.name,), ())):
            unit = running(attempt=attempt, max_attempts=most, faults=known)
            yield State(unit, failure(code, lease=Lease(attempt=attempt, lease_token="held")), stored)


def is_held(unit: Unit | None, lease: Lease) -> bool:
    row = unit.lease if unit is not None and unit.status is UnitStatus.RUNNING else None
    return row is not None and unit is not None and (unit.attempt, row.token) == (lease.attempt, "held")


def expected(state: State) -> Expected:
    unit, report = state.unit, state.report
    silent = None if state.doorway == BELL else VISIBILITY_SECONDS
    if unit is None or not is_held(unit, report.lease):
        if unit is not None and unit.completed_by == "held":
            return Expected((unit.status, False), silent, unit)
        return Expected(LOST, VISIBILITY_SECONDS, unit)
    if unit.lease is None or unit.lease.node_id != ME:
        return Expected(LOST, VISIBILITY_SECONDS, unit)
    ended = completed(unit, report) if isinstance(report, CompleteRequest) else failed(unit, report)
    is_over = ended is not None and ended.status is not UnitStatus.QUEUED
    if ended is None or (is_over and not all(is_stored(file, state) for file in report.outputs)):
        return Expected(MISSING, VISIBILITY_SECONDS, unit)
    left = tuple(Output(file.name, file.kind, file.size_bytes, file.sha256) for file in report.outputs) if is_over else ()
    written = replace(ended, lease=None, completed_by="held", outputs=left, version=unit.version + 1)
    return Expected((ended.status, True), silent, written)


def is_stored(file: OutputFile, state: State) -> bool:
    return file.name in state.stored and file not in (OTHERWISE, LONGER)


def observed(unit: Unit, report: CompleteRequest | FailRequest) -> float:
    """Nobody is charged for longer than the platform has seen."""
    return min(float(report.runtime_seconds), 100.0) if unit.started_at == STARTED else 0.0


def completed(unit: Unit, report: CompleteRequest) -> Unit | None:
    """None for a unit that is paid for its model and has none."""
    paid_for_a_model = unit.work.role in (UnitRole.TRAIN, UnitRole.PACKAGE, UnitRole.SELECT)
    if paid_for_a_model and all(file.kind is not ArtifactKind.MODEL for file in report.outputs):
        return None
    runtime = observed(unit, report)
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


def failed(unit: Unit, report: FailRequest) -> Unit:
    """A drained machine costs the unit no attempt, up to ten; a user's mistake is tried twice; the rest as often as allowed."""
    drained = report.code == "NODE_DRAINED"
    most = unit.max_attempts + (drained and unit.max_attempts < 10)
    allowed = min(most, 2) if report.code in USERS else most
    known = replace(unit, max_attempts=most, faults=faults_after(unit, report.code), failure=failure_of(unit, report))
    if report.code not in HOPELESS and unit.attempt < allowed:
        return replace(known, status=UnitStatus.QUEUED, queued_at=NOW, rung_at=None, progress_stage="retrying")
    return replace(known, status=UnitStatus.FAILED, finished_at=NOW, runtime_seconds=observed(unit, report))


def failure_of(unit: Unit, report: FailRequest) -> Failure:
    users = report.code in HOPELESS | USERS
    blame = Blame.USER if users else Blame.PLATFORM if report.code == "INTERNAL" else Blame.NODE
    return Failure(report.code, blame, "no", unit_id=unit.id, attempt=unit.attempt, exit_code=3, log_tail="end")


def faults_after(unit: Unit, code: FailureCode) -> tuple[NodeFault, ...]:
    """Of what is the machine's doing, or may be. The first drain counts as none; the ten latest machines are remembered."""
    if code in HOPELESS | USERS and code != "DATASET_MISMATCH":
        return unit.faults
    before = [fault.failures for fault in unit.faults if fault.node_id == ME]
    count = before[0] + 1 if before else (0 if code == "NODE_DRAINED" else 1)
    others = [fault for fault in unit.faults if fault.node_id != ME]
    return tuple([*others, NodeFault(ME, count, NOW)][-10:])


def tables_in(state: State) -> tuple[Tables, CompleteRequest | FailRequest]:
    """The tables in that state, where a bell was just heard; and the report as it is sent."""
    unit = state.unit
    tables = Tables([unit] if unit is not None else [])
    for name in state.stored:
        if unit is not None:
            tables.objects.put(f"jobs/{unit.job_id}/{unit.id}/{unit.attempt}/{name}", CONTENT)
    tables.ring(a_unit().id)
    return tables, state.report.model_copy(update={"doorway": state.doorway})


def reports_over(tables: Tables, units: Any = None) -> Reports:
    return Reports(
        units=units or tables.units,
        inputs=tables.inputs,
        objects=tables.objects,
        signing=Signing(tables.objects),
        queue=tables.queue,
        clock=tables.clock,
    )


def send(reports: Reports, report: CompleteRequest | FailRequest) -> object:
    take: Any = reports.complete if isinstance(report, CompleteRequest) else reports.fail
    answer = answer_of(partial(take, WORKER, a_unit().id, report))
    return answer if isinstance(answer, str) else (answer.status, answer.accepted)


def test_every_report_is_judged_by_the_row(each: Any) -> None:
    for state in each(states()):
        tables, report = tables_in(state)
        answer = send(reports_over(tables), report)
        found = Expected(answer, tables.seconds_until_heard(OWN), tables.units.get(a_unit().id))
        assert found == expected(state), state


def test_a_repeated_report_is_answered_alike_and_changes_nothing(each: Any) -> None:
    for state in each(states()):
        tables, report = tables_in(state)
        first = send(reports_over(tables), report)
        row = tables.units.get(a_unit().id)
        again = send(reports_over(tables), report)
        assert again == ((first[0], False) if isinstance(first, tuple) else first), state
        assert tables.units.get(a_unit().id) == row, state


def test_only_the_holder_gets_inputs_and_places_for_outputs(each: Any) -> None:
    for unit in each(rows()):
        tables = Tables([unit] if unit is not None else [])
        reports = reports_over(tables)
        holds = is_held(unit, HELD) and unit is not None and unit.lease is not None and unit.lease.node_id == ME
        inputs = answer_of(partial(reports.inputs, WORKER, a_unit().id, InputsRequest(lease=HELD)))
        outputs = answer_of(partial(reports.outputs, WORKER, a_unit().id, OutputsRequest(lease=HELD, files=[MODEL])))
        assert [answer == LOST for answer in (inputs, outputs)] == [not holds] * 2, unit
        if holds:
            place = tables.objects.presign_put(
                f"jobs/{tables.job_id}/{a_unit().id}/2/{MODEL.name}",
                size_bytes=7,
                sha256=MODEL.sha256,
                content_type="application/octet-stream",
                expires_seconds=900,
            )
            assert (outputs.uploads[MODEL.name].url, outputs.uploads[MODEL.name].headers) == (place.url, place.headers)


def test_who_takes_a_unit_over_between_a_reports_read_and_write_keeps_it(each: Any) -> None:
    for report in each((complete(), failure(FailureCode.SANDBOX_FAILED))):
        tables, heard = tables_in(State(running(), report))
        theirs = running(attempt=3, lease=a_lease(token="theirs", node_id=SOMEBODY, expires_at=NOW + SECOND))
        crossing = Crossing(tables.units, partial(tables.units.replace, theirs))
        assert send(reports_over(tables, crossing), heard) == LOST
        assert tables.unit() == replace(theirs, version=2)
