"""What may happen to a unit: pure moves from one row to the next. Whoever applies a move writes it over the version it
was decided on; when that fails, the row is read and decided again."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from enum import StrEnum

from gpupool.units.edges import gathers
from gpupool.units.model import Failure, LeaseState, NodeFault, Unit, UnitStatus, Worker
from gpupool.wire.failures import FailureCode, blame_of, may_retry, speaks_of_the_machine
from gpupool.wire.units import Doorway, FailRequest, Lease, OutputFile, Progress
from gpupool.wire.vocabulary import ArtifactKind, UnitRole

PATIENCE = timedelta(hours=24)
# The stage that a claim alone writes: the stream's filter tells a claim from the heartbeats after it by this word.
CLAIMED = "claimed"
_RING_AGAIN = timedelta(hours=1)
# A lapsed lease is taken over by whoever hears the bell, within seconds. After this long, nobody hears it.
_LONG_LAPSED = timedelta(minutes=10)
_MOST_ATTEMPTS = 10
# On top of the run itself, whatever the sizes: an hour to fetch the inputs and build the environment, one to upload.
_AROUND_THE_RUN = timedelta(hours=2)
# Per failure of a node on a unit, how long the unit is kept for others first.
_PAUSE = timedelta(minutes=2)
_MOST_FAULTS = 10
# Two doorways of one machine never share so many hex digits by chance.
_MARK_DIGITS = 16
_LEAVES_A_MODEL = frozenset({UnitRole.TRAIN, UnitRole.PACKAGE, UnitRole.SELECT})


class Refusal(StrEnum):
    """Why a claim is refused; the doorbell is answered accordingly."""

    GONE = "gone"  # nobody is needed: silence the bell
    LEASED = "leased"  # ring again when the lease may have lapsed
    NOT_SUITABLE = "not_suitable"  # ring again in a moment, for another machine
    EXHAUSTED = "exhausted"  # the last lease lapsed: fail the unit
    PAUSED = "paused"  # this node failed it a while ago: let others have the first chance


class Standing(StrEnum):
    """How a report's lease stands to the row."""

    HOLDS = "holds"
    REPEATED = "repeated"  # this very lease has reported before: the answer is the same
    LOST = "lost"


@dataclass(frozen=True, slots=True)
class Terms:
    """A new lease, ready to be written."""

    token: str
    expires_at: datetime
    doorway: Doorway


def refuse_claim(unit: Unit | None, worker: Worker, *, own_bell: bool, now: datetime) -> Refusal | None:
    """Why ``worker`` may not have the unit now; None when it may. Only a lapsed lease frees a running unit.

    ``own_bell``: the claim came through the queue of the unit's own pool and class. A node that names a unit it was not rung
    for is refused, else the pool that a job's sensitivity asks for would be the claimant's to choose.
    """
    if unit is None or unit.is_final or unit.status is UnitStatus.WAITING:
        return Refusal.GONE
    if not own_bell:
        return Refusal.NOT_SUITABLE
    if unit.work.required_vram_mb > worker.vram_mb or unit.work.required_disk_mb > worker.disk_free_mb:
        return Refusal.NOT_SUITABLE
    if unit.lease is not None and unit.lease.expires_at > now:
        return Refusal.LEASED
    if unit.attempt >= unit.max_attempts:
        return Refusal.EXHAUSTED
    return Refusal.PAUSED if _is_paused(unit, worker.node_id, now=now) else None


def _is_paused(unit: Unit, node_id: str, *, now: datetime) -> bool:
    """Whether the node failed this unit so recently that another machine should have the chance first.

    One broken machine is quick to fail and quick to ask again; unchecked, it would use up the attempts of every unit. Where
    there is no other machine it gets the unit after the pause.
    """
    return any(fault.node_id == node_id and now < fault.at + fault.failures * _PAUSE for fault in _after_lapse(unit).faults)


def _after_lapse(unit: Unit) -> Unit:
    """The unit when its lease, if it has one, has lapsed: without it, and its holder remembered."""
    if unit.lease is None:
        return unit
    return replace(_remembering(unit, FailureCode.LEASE_EXPIRED, at=unit.lease.expires_at), lease=None)


def _remembering(unit: Unit, code: FailureCode, *, at: datetime) -> Unit:
    """The unit with ``code`` noted against its holder; a cause that is the user's says nothing about the machine.

    A node's first drain costs it nothing, because its owner may want it back and be done soon. A machine that gives the same
    unit back again and again is ill.
    """
    if unit.lease is None or not speaks_of_the_machine(code):
        return unit
    node_id = unit.lease.node_id
    known = [fault.failures for fault in unit.faults if fault.node_id == node_id]
    failures = known[0] + 1 if known else int(code is not FailureCode.NODE_DRAINED)
    others = [fault for fault in unit.faults if fault.node_id != node_id]
    return replace(unit, faults=(*others, NodeFault(node_id, failures, at))[-_MOST_FAULTS:])


def holds_already(unit: Unit | None, worker: Worker, doorway: Doorway, *, now: datetime) -> bool:
    """Whether this very claim was granted before and its answer got lost on the way."""
    lease = unit.lease if unit is not None else None
    if lease is None or lease.expires_at <= now:
        return False
    return (lease.node_id, lease.bell) == (worker.node_id, mark_of(doorway))


def mark_of(doorway: Doorway) -> str:
    """A short digest by which a doorway is known again."""
    whole = f"{doorway.queue_url}\n{doorway.receipt_handle}"
    return hashlib.sha256(whole.encode()).hexdigest()[:_MARK_DIGITS]


def claimed(unit: Unit, worker: Worker, terms: Terms, *, now: datetime) -> Unit:
    """The unit on its next attempt, leased to ``worker``."""
    lease = LeaseState(
        token=terms.token,
        node_id=worker.node_id,
        node_name=worker.node_name,
        expires_at=terms.expires_at,
        deadline=now + timedelta(seconds=unit.work.max_runtime_seconds) + _AROUND_THE_RUN,
        bell=mark_of(terms.doorway),
    )
    return replace(
        unit,
        status=UnitStatus.RUNNING,
        attempt=unit.attempt + 1,
        lease=lease,
        node_name=worker.node_name,
        started_at=now,
        progress_fraction=None,
        progress_stage=CLAIMED,
        metrics={},
        faults=_after_lapse(unit).faults,
    )


def said_by_node(progress: Progress) -> Progress:
    """The progress of a heartbeat, which may say anything but that the unit was claimed just now."""
    return progress.model_copy(update={"stage": ""}) if progress.stage == CLAIMED else progress


def standing(unit: Unit | None, lease: Lease) -> Standing:
    """Whether the holder of ``lease`` may report. An overdue report is welcome until somebody else has claimed the unit."""
    if unit is None:
        return Standing.LOST
    held = unit.lease
    if unit.status is UnitStatus.RUNNING and held and (unit.attempt, held.token) == (lease.attempt, lease.lease_token):
        return Standing.HOLDS
    return Standing.REPEATED if unit.completed_by == lease.lease_token else Standing.LOST


def lacks_model(unit: Unit, outputs: Sequence[OutputFile]) -> bool:
    """Whether a result leaves out the model that units of its role are paid for."""
    return unit.work.role in _LEAVES_A_MODEL and all(file.kind is not ArtifactKind.MODEL for file in outputs)


def completed(
    unit: Unit, *, lease: Lease, metrics: dict[str, float], runtime_seconds: float, credits: int, now: datetime
) -> Unit:
    """The unit with a result; ``credits`` is what it costs and is debited because of this write."""
    return replace(
        unit,
        status=UnitStatus.COMPLETED,
        lease=None,
        metrics=metrics or unit.metrics,
        progress_fraction=1.0,
        progress_stage="completed",
        finished_at=now,
        runtime_seconds=runtime_seconds,
        credits=credits,
        failure=None,
        completed_by=lease.lease_token,
    )


def observed_runtime(unit: Unit, *, reported: float, now: datetime) -> float:
    """Seconds to charge for: what the node reports, but never more than passed here since its claim."""
    passed = (now - (unit.started_at or now)).total_seconds()
    return max(0.0, min(reported, passed))


def failed(unit: Unit, report: FailRequest, *, now: datetime) -> Unit:
    """The unit after a failed attempt: queued again while its cause and its attempts allow, failed for good otherwise."""
    failure = Failure(
        code=report.code,
        blame=blame_of(report.code),
        message=report.message,
        unit_id=unit.id,
        attempt=unit.attempt,
        exit_code=report.exit_code,
        log_tail=report.log_tail,
    )
    remembered = _remembering(unit, report.code, at=now)
    ended = replace(remembered, lease=None, failure=failure, completed_by=report.lease.lease_token)
    if report.code is FailureCode.NODE_DRAINED and unit.max_attempts < _MOST_ATTEMPTS:
        # An owner who wants the machine back says nothing about the unit, so the attempt is given back with it.
        ended = replace(ended, max_attempts=unit.max_attempts + 1)
    if may_retry(report.code, attempt=unit.attempt, max_attempts=ended.max_attempts):
        return replace(queued(ended, now=now), progress_stage="retrying")
    runtime = observed_runtime(unit, reported=report.runtime_seconds, now=now)
    return replace(ended, status=UnitStatus.FAILED, finished_at=now, runtime_seconds=runtime)


def exhausted(unit: Unit, *, now: datetime) -> Unit:
    """The unit after its last lease lapsed without a report."""
    message = f"The node stopped reporting on attempt {unit.attempt} of {unit.max_attempts}."
    return _failed_by_platform(unit, FailureCode.LEASE_EXPIRED, message, now=now)


def undeliverable(unit: Unit, *, now: datetime) -> Unit:
    """The unit after its bell rang in vain for too long."""
    message = "No suitable node took the unit in time. Submit the job again, or ask for less VRAM or disk."
    return _failed_by_platform(unit, FailureCode.DISPATCH_FAILED, message, now=now)


def _failed_by_platform(unit: Unit, code: FailureCode, message: str, *, now: datetime) -> Unit:
    failure = Failure(code=code, blame=blame_of(code), message=message, unit_id=unit.id, attempt=unit.attempt)
    return replace(unit, status=UnitStatus.FAILED, lease=None, failure=failure, finished_at=now)


def queued(unit: Unit, *, now: datetime) -> Unit:
    """The unit once its needs are met."""
    return replace(unit, status=UnitStatus.QUEUED, queued_at=now, rung_at=None)


def cancelled(unit: Unit, *, now: datetime) -> Unit:
    """The unit when its job ends without it; a holder learns of it at its next heartbeat."""
    return replace(unit, status=UnitStatus.CANCELLED, lease=None, finished_at=now)


def is_ready(unit: Unit, *, met: frozenset[int] = frozenset()) -> bool:
    """Whether the unit waits for nothing but its release. ``met``: needs that are met although the row may not say so yet."""
    return unit.status is UnitStatus.WAITING and not _open_needs(unit, met)


def _open_needs(unit: Unit, met: frozenset[int]) -> frozenset[int]:
    """One that gathers waits for gates, and who empties a gate takes it out."""
    return unit.open_needs if gathers(unit.needs) else unit.open_needs - met


def due(unit: Unit, *, met: frozenset[int] = frozenset(), progressed_at: datetime | None = None, now: datetime) -> Unit | None:
    """What is to be done about a unit when its job is looked at; None when nothing is. ``met`` as in ``is_ready``;
    ``progressed_at`` as in ``bell_is_stale``.

    Beyond the release of a ready unit, this repairs: bells are hints that a node can lose and leases are kept by nodes, so
    neither may be the only thing that moves a unit.
    """
    if unit.status is UnitStatus.WAITING:
        return _opened(unit, met, now=now)
    if unit.status is UnitStatus.QUEUED:
        if bell_is_stale(unit, progressed_at=progressed_at, now=now):
            return undeliverable(unit, now=now)
        heard = [at for at in (unit.rung_at or unit.queued_at, progressed_at) if at is not None]
        return replace(unit, rung_at=now) if heard and now - max(heard) > _RING_AGAIN else None
    if unit.lease is not None and now - unit.lease.expires_at > _LONG_LAPSED:
        return exhausted(unit, now=now) if unit.attempt >= unit.max_attempts else queued(_after_lapse(unit), now=now)
    return None


def _opened(unit: Unit, met: frozenset[int], *, now: datetime) -> Unit | None:
    rest = replace(unit, open_needs=_open_needs(unit, met))
    if is_ready(rest):
        return queued(rest, now=now)
    return rest if rest.open_needs != unit.open_needs else None


def bell_is_stale(unit: Unit, *, progressed_at: datetime | None = None, now: datetime) -> bool:
    """Whether a queued unit has waited longer than it makes sense to keep ringing.

    ``progressed_at``: when its job got a unit done last. As long as others of the job are served, this one has only to wait.
    """
    if unit.status is not UnitStatus.QUEUED or unit.queued_at is None:
        return False
    return now - max(unit.queued_at, progressed_at or unit.queued_at) > PATIENCE
