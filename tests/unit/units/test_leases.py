"""Leases as the node door uses them: one holder at a time, every bell answered, every report judged by the row."""

from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta

import pytest

from gpupool.bootstrap import build_node_core, build_outbox
from gpupool.dispatch.memory import MemoryQueue
from gpupool.errors import Conflict, ValidationFailed
from gpupool.jobs.model import Sensitivity
from gpupool.nodes.model import Tier
from gpupool.units.memory import MemoryUnitStore
from gpupool.units.model import Unit, UnitStatus
from gpupool.uploads.model import Multipart, UploadKind
from gpupool.wire.failures import FailureCode
from gpupool.wire.joining import Doorbell
from gpupool.wire.units import (
    CompleteRequest,
    Doorway,
    HeartbeatRequest,
    InputsRequest,
    InputsResponse,
    LogChunk,
    OutputFile,
    RunningUnit,
    UnitGrant,
)
from gpupool.wire.vocabulary import ArtifactKind
from tests.factories import CUSTOMER_ID, SHA256, a_doorway, dag
from tests.platform import LEASE_SECONDS, Machine, Platform, lease_of


def running(**changes: object) -> tuple[Platform, Machine, UnitGrant]:
    platform = Platform(package=dag(()))
    platform.submit(**changes)
    platform.settle()
    machine = Machine(platform, tier=Tier.CONTROLLED)
    return platform, machine, machine.take()


def refused(act: Callable[[], object]) -> str:
    with pytest.raises((Conflict, ValidationFailed)) as caught:
        act()
    return caught.value.code


def test_a_bell_is_hidden_as_long_as_the_lease_and_its_renewals_last() -> None:
    platform, machine, grant = running()
    other = Machine(platform)
    for _ in range(5):
        platform.tick(LEASE_SECONDS - 1)
        machine.heartbeat(grant)
        assert other.receive() is None

    platform.tick(LEASE_SECONDS)
    assert other.receive() is None
    platform.tick(1)

    assert other.receive() is not None


def test_a_second_bell_for_a_leased_unit_is_put_off_until_the_lease_ends() -> None:
    platform, _, grant = running()
    platform.dead_letters.handle(Doorbell(job_id=grant.job_id, unit_id=grant.unit_id, attempt=0))
    other = Machine(platform)
    message = other.receive()
    platform.tick(10)

    assert refused(lambda: other.claim(message)) == "UNIT_LEASED"

    platform.tick(LEASE_SECONDS - 10)
    assert other.receive() is None
    platform.tick(1)
    assert other.receive() is not None


def test_a_machine_that_is_too_small_leaves_the_bell_to_others_soon() -> None:
    platform = Platform(package=dag(()))
    platform.submit()
    platform.settle()
    small, large = Machine(platform, disk_free_mb=1), Machine(platform)
    message = small.receive()

    assert refused(lambda: small.claim(message)) == "UNIT_NOT_SUITABLE"
    assert small.receive() is None

    platform.tick(5)
    assert large.take().attempt == 1


def test_a_community_machine_cannot_have_a_unit_of_the_controlled_pool() -> None:
    platform = Platform(package=dag(()))
    secret = platform.submit(sensitivity=Sensitivity.LOW_SENSITIVE)
    platform.submit()
    platform.settle()
    stranger = Machine(platform)
    message = stranger.receive()
    wanted = platform.units(secret)[0]

    code = refused(lambda: platform.node.leases.claim(stranger.worker, wanted.id, message.doorway))

    assert code == "UNIT_NOT_SUITABLE"
    assert platform.unit(wanted.id).status is UnitStatus.QUEUED
    assert Machine(platform, tier=Tier.CONTROLLED).take().unit_id == wanted.id


def test_a_doorway_to_a_queue_that_is_not_the_machines_reaches_no_queue() -> None:
    platform, machine, grant = running()
    foreign = a_doorway(queue_url="https://elsewhere.example/queue")

    assert refused(lambda: platform.node.leases.claim(machine.worker, grant.unit_id, foreign)) == "VALIDATION_FAILED"


def only_unit(platform: Platform) -> Unit:
    job = next(iter(platform.ports.world.jobs.values()))
    return platform.units(job)[0]


def queued() -> tuple[Platform, Machine, Unit]:
    platform = Platform(package=dag(()))
    platform.submit()
    platform.settle()
    return platform, Machine(platform), only_unit(platform)


def test_a_node_that_has_not_heard_the_bell_gets_nothing() -> None:
    platform, machine, unit = queued()
    made_up = a_doorway(receipt_handle="receipt-of-nobody")

    assert refused(lambda: platform.node.leases.claim(machine.worker, unit.id, made_up)) == "UNIT_LEASED"

    assert platform.unit(unit.id) == unit
    assert machine.take().attempt == 1


def test_a_receipt_that_has_expired_opens_nothing() -> None:
    platform, machine, unit = queued()
    message = machine.receive()
    platform.tick(31)

    assert refused(lambda: machine.claim(message)) == "UNIT_LEASED"

    assert platform.unit(unit.id) == unit
    assert machine.take().attempt == 1


def test_a_node_that_has_not_heard_the_bell_cannot_end_an_exhausted_unit() -> None:
    platform, machine, unit = queued()
    platform.ports.units.replace(replace(unit, attempt=unit.max_attempts))
    made_up = a_doorway(receipt_handle="receipt-of-nobody")

    assert refused(lambda: platform.node.leases.claim(machine.worker, unit.id, made_up)) == "UNIT_LEASED"

    assert platform.unit(unit.id).status is UnitStatus.QUEUED
    assert refused(machine.take) == "UNIT_GONE"
    assert platform.unit(unit.id).status is UnitStatus.FAILED


def test_an_answer_that_was_lost_is_given_again_although_the_bell_is_not_asked_again() -> None:
    platform, machine, _ = queued()
    message = machine.receive()
    first = machine.claim(message)
    platform.ports.queue.silence(message.doorway)

    assert lease_of(machine.claim(message)) == lease_of(first)


class BrokenQueue(MemoryQueue):
    """A queue that answers nothing any more once it is told to break."""

    broken = False

    def hide(self, doorway: Doorway, *, seconds: int) -> bool:
        self._break()
        return super().hide(doorway, seconds=seconds)

    def silence(self, doorway: Doorway) -> None:
        self._break()
        super().silence(doorway)

    def _break(self) -> None:
        if self.broken:
            raise OSError("the queue is out of reach")


def with_broken_queue(*needs: tuple[int, ...]) -> tuple[Platform, Machine, BrokenQueue]:
    platform = Platform(package=dag(*needs))
    queue = platform.ports.queue = BrokenQueue(urls=platform.ports.queue_urls, clock=platform.clock)
    platform.node = build_node_core(platform.ports)
    platform.outbox = build_outbox(platform.ports)
    platform.submit()
    platform.settle()
    return platform, Machine(platform), queue


def test_a_claim_that_fails_half_way_leaves_no_lease() -> None:
    platform, machine, queue = with_broken_queue(())
    message = machine.receive()
    unit = only_unit(platform)

    queue.broken = True
    with pytest.raises(OSError, match="out of reach"):
        machine.claim(message)
    queue.broken = False
    job = platform.ports.world.jobs.pop(unit.job_id)
    with pytest.raises(LookupError):
        machine.claim(message)
    platform.ports.world.jobs[job.id] = job

    assert platform.unit(unit.id) == unit
    assert machine.claim(message).attempt == 1


def test_a_queue_that_fails_after_the_write_fails_no_report() -> None:
    _, machine, queue = with_broken_queue((), ())
    done, failed = machine.take(), machine.take()

    queue.broken = True

    assert machine.complete(done).status == "completed"
    assert machine.fail(failed, FailureCode.INPUT_CORRUPT).status == "queued"


def test_a_queue_that_fails_costs_no_heartbeat_its_leases() -> None:
    platform, machine, queue = with_broken_queue((), ())
    grants = [machine.take(), machine.take()]
    platform.tick(30)

    queue.broken = True
    answer = machine.heartbeat(*grants)

    renewed = platform.clock.now() + timedelta(seconds=LEASE_SECONDS)
    assert [(each.verdict, each.lease_expires_at) for each in answer.units] == [("continue", renewed)] * 2


def test_inputs_are_given_again_with_fresh_links() -> None:
    platform = Platform()
    platform.submit()
    platform.settle()
    machine = Machine(platform)
    prepared = machine.take()
    machine.complete(prepared, outputs=(machine.upload(prepared, b"prepared"),))
    platform.settle()
    grant = machine.take()
    platform.tick(50)
    request = InputsRequest(lease=lease_of(grant))

    fresh = platform.node.leases.inputs(machine.worker, grant.unit_id, request)

    granted = InputsResponse(package=grant.package, dataset=grant.dataset, needs=grant.needs)
    assert fresh == granted
    assert [need.unit_name for need in fresh.needs] == ["prepare"]
    platform.tick(900)
    again = platform.node.leases.inputs(machine.worker, grant.unit_id, request)
    assert platform.ports.objects.download(again.needs[0].outputs[0].download.url) == b"prepared"


def test_a_grant_says_which_digest_is_only_its_owners_word() -> None:
    platform = Platform()
    dataset = platform.ports.uploads.get(CUSTOMER_ID, UploadKind.DATASET, "dataset-1")
    assert dataset is not None
    platform.ports.world.uploads[dataset.owner_kind, dataset.id] = replace(dataset, multipart=Multipart("bucket-1", 8))
    platform.submit()
    platform.settle()
    grant = Machine(platform).take()
    assert (grant.dataset.download.declared_as, grant.package.declared_as) == ("dataset-1", None)


def test_inputs_are_for_the_holder_alone() -> None:
    platform, machine, grant = running()
    thief = Machine(platform, tier=Tier.CONTROLLED)
    request = InputsRequest(lease=lease_of(grant))

    assert refused(lambda: platform.node.leases.inputs(thief.worker, grant.unit_id, request)) == "LEASE_LOST"
    machine.complete(grant)
    assert refused(lambda: platform.node.leases.inputs(machine.worker, grant.unit_id, request)) == "LEASE_LOST"


def test_a_training_without_a_model_is_not_paid() -> None:
    platform = Platform()
    platform.submit()
    platform.settle()
    machine = Machine(platform)
    machine.complete(machine.take())
    platform.settle()
    train = machine.take()

    with pytest.raises(Conflict) as nothing:
        machine.complete(train, outputs=())
    assert (nothing.value.code, nothing.value.details) == ("OUTPUT_MISSING", {"field": "/outputs"})
    assert "NO_MODEL" in nothing.value.message
    assert platform.unit(train.unit_id).status is UnitStatus.RUNNING

    assert machine.complete(train).accepted


def test_the_last_renewal_ends_with_the_deadline_and_its_bell_rings_then() -> None:
    platform, machine, grant = running(max_runtime_seconds=60)
    deadline = platform.clock.now() + timedelta(seconds=60 + 2 * 3_600)
    while platform.clock.now() < deadline - timedelta(seconds=30):
        machine.heartbeat(grant)
        platform.tick(30)

    last = machine.heartbeat(grant).units[0]
    assert (last.verdict, last.lease_expires_at) == ("continue", deadline)

    platform.tick(30)
    assert machine.heartbeat(grant).units[0].verdict == "lease_lost"
    platform.tick(1)
    again = Machine(platform).take()
    assert (again.unit_id, again.attempt) == (grant.unit_id, 2)


class Racing(MemoryUnitStore):
    """Somebody else is quicker once: between the read and the write of a claim or a report."""

    quicker: Callable[[], None] = staticmethod(lambda: None)

    def get(self, unit_id: str) -> Unit | None:
        found = super().get(unit_id)
        act, self.quicker = self.quicker, lambda: None
        act()
        return found


def test_of_two_machines_that_claim_at_once_one_has_the_unit() -> None:
    platform = Platform(package=dag(()))
    platform.submit()
    platform.settle()
    first, second = Machine(platform), Machine(platform)
    platform.dead_letters.handle(Doorbell(job_id="", unit_id=only_unit(platform).id, attempt=0))
    message, same = first.receive(), second.receive()
    store = Racing(platform.ports.world)
    store.quicker = lambda: second.claim(same)
    platform.ports.units = store
    slow = build_node_core(platform.ports).leases

    assert refused(lambda: slow.claim(first.worker, message.bell.unit_id, message.doorway)) == "UNIT_LEASED"

    unit = platform.unit(message.bell.unit_id)
    assert (unit.attempt, unit.lease.node_id) == (1, second.worker.node_id)


def test_a_completion_that_meets_a_cancel_is_refused() -> None:
    platform, machine, grant = running()
    store = Racing(platform.ports.world)
    platform.ports.units = store
    slow = build_node_core(platform.ports).leases

    def cancel() -> None:
        platform.cancel(next(iter(platform.ports.world.jobs.values())))
        platform.settle()

    store.quicker = cancel
    request = CompleteRequest(lease=lease_of(grant), outputs=[], runtime_seconds=1)

    assert refused(lambda: slow.complete(machine.worker, grant.unit_id, request)) == "LEASE_LOST"
    platform.check_books()


def test_a_completion_that_meets_a_heartbeat_is_not_lost() -> None:
    platform, machine, grant = running()
    store = Racing(platform.ports.world)
    platform.ports.units = store
    slow = build_node_core(platform.ports).leases
    store.quicker = lambda: machine.heartbeat(grant, loss=0.5)
    request = CompleteRequest(lease=lease_of(grant), outputs=[], runtime_seconds=1)

    assert slow.complete(machine.worker, grant.unit_id, request).accepted

    assert platform.unit(grant.unit_id).metrics == {"loss": 0.5}


def an_output(**changes: object) -> OutputFile:
    values = {"name": "model.tar.gz", "kind": ArtifactKind.MODEL, "size_bytes": 3, "sha256": SHA256}
    return OutputFile(**(values | changes))


def test_a_result_whose_upload_is_absent_or_differs_is_refused_and_the_unit_keeps_running() -> None:
    platform, machine, grant = running()
    assert refused(lambda: machine.complete(grant, outputs=(an_output(),))) == "OUTPUT_MISSING"

    uploaded = machine.upload(grant, b"abc")
    shorter = uploaded.model_copy(update={"size_bytes": 2})
    other = uploaded.model_copy(update={"sha256": SHA256})
    for wrong in (shorter, other):
        assert refused(lambda wrong=wrong: machine.complete(grant, outputs=(wrong,))) == "OUTPUT_MISSING"

    assert platform.unit(grant.unit_id).status is UnitStatus.RUNNING
    assert platform.unit(grant.unit_id).outputs == ()
    assert machine.complete(grant, outputs=(uploaded,)).accepted


def test_the_lease_of_one_machine_is_of_no_use_to_another() -> None:
    platform, _, grant = running()
    thief = Machine(platform, tier=Tier.CONTROLLED)

    assert refused(lambda: thief.complete(grant)) == "LEASE_LOST"
    assert refused(lambda: thief.fail(grant, FailureCode.SCRIPT_FAILED)) == "LEASE_LOST"
    assert refused(lambda: thief.upload(grant, b"abc")) == "LEASE_LOST"
    assert thief.heartbeat(grant).units[0].verdict == "lease_lost"
    assert platform.unit(grant.unit_id).status is UnitStatus.RUNNING


def test_a_failure_reported_twice_counts_once() -> None:
    platform, machine, grant = running()
    assert machine.fail(grant, FailureCode.NODE_DRAINED).accepted
    platform.settle()

    assert not machine.fail(grant, FailureCode.NODE_DRAINED).accepted
    assert not machine.complete(grant).accepted

    assert platform.unit(grant.unit_id).status is UnitStatus.QUEUED
    assert machine.take().attempt == 2
    assert not machine.fail(grant, FailureCode.TIMED_OUT).accepted
    assert platform.unit(grant.unit_id).status is UnitStatus.RUNNING


def test_one_heartbeat_answers_for_every_unit() -> None:
    platform = Platform(package=dag((), (), ()))
    job = platform.submit()
    platform.settle()
    machine = Machine(platform)
    kept, done, lapsed = machine.take(), machine.take(), machine.take()
    machine.complete(done)
    platform.ports.units.replace(replace(platform.unit(lapsed.unit_id), status=UnitStatus.QUEUED, lease=None))

    verdicts = [each.verdict for each in machine.heartbeat(kept, done, lapsed).units]

    assert verdicts == ["continue", "lease_lost", "lease_lost"]
    assert platform.job(job).is_live


def test_a_log_chunk_goes_to_the_attempts_own_folder() -> None:
    platform, machine, grant = running()
    chunk = LogChunk(seq=3, size_bytes=5, sha256=SHA256)
    request = HeartbeatRequest(units=[RunningUnit(unit_id=grant.unit_id, lease=lease_of(grant), log_chunk=chunk)])

    upload = platform.node.leases.heartbeat(machine.worker, request).units[0].log_upload

    assert upload is not None
    assert upload.url.startswith(f"memory://logs/{grant.job_id}/{grant.unit_id}/1/000003.txt?")
    assert upload.headers["Content-Length"] == "5"


def test_what_a_completed_unit_costs_is_bounded_by_its_quote() -> None:
    platform, machine, grant = running(max_runtime_seconds=60)
    unit = platform.unit(grant.unit_id)
    platform.tick(10_000)

    machine.complete(grant, runtime_seconds=9_999)

    assert platform.unit(grant.unit_id).credits == unit.credits_max
