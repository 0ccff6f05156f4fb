"""One queue's loop with a scripted inbox: order, back-off, stop, and what is handed back."""

import threading
from collections.abc import Callable, Iterator

import pytest

from gpupool.wire.errors import NodeErrorCode
from gpupool.wire.joining import Doorbell, QueueGrant
from gpupool.wire.units import Doorway, UnitGrant
from gpupool.wire.vocabulary import CapabilityClass
from node_agent.control_plane import ControlPlane
from node_agent.errors import RecoverableError, UnrecoverableError
from node_agent.heartbeat import PollHealth
from node_agent.inbox import MemoryInbox, Ring, read_ring
from node_agent.lanes import Lane, LaneName, lanes_for, served_queues
from node_agent.poller import Poller
from node_agent.retry import Backoff
from node_agent.web import new_pool
from tests.agent.fake_control_plane import DEVICE_KEY, JOB_ID, FakeControlPlane, unit_id
from tests.agent.fake_http import UNAVAILABLE, refused
from tests.agent.harness import eventually

QUEUE = QueueGrant(capability=CapabilityClass.CPU, pool="public", url="https://queues.example/public-cpu")


def a_ring(index: int) -> Ring:
    return Ring(
        doorbell=Doorbell(job_id=JOB_ID, unit_id=unit_id(index), attempt=0),
        doorway=Doorway(queue_url=QUEUE.url, receipt_handle=f"handle-{index}"),
    )


class ScriptedInbox(MemoryInbox):
    """``meanwhile`` happens while the next poll is open."""

    def __init__(self) -> None:
        super().__init__()
        self.meanwhile: Callable[[], object] = lambda: None

    def receive(self, grant: QueueGrant) -> Ring | None:
        ring = super().receive(grant)
        if ring is not None:
            self.meanwhile()
        return ring


class PollerInThread:
    """The loop, with its ends in the test's hands."""

    def __init__(self, control_plane: FakeControlPlane, *, slots: int = 1, most_wait: float = 0.01) -> None:
        self.inbox = ScriptedInbox()
        self.lane = Lane(LaneName.CPU, slots=slots)
        self.stopping = threading.Event()
        self.health = PollHealth()
        self.started: list[str] = []
        self.error: BaseException | None = None
        self.poller = Poller(
            QUEUE,
            lane=self.lane,
            inbox=self.inbox,
            control_plane=ControlPlane(api=control_plane.url, device_key=DEVICE_KEY, pool=new_pool()),
            health=self.health,
            start_unit=self._start_unit,
            stopping=self.stopping,
            backoff=Backoff(base=most_wait, cap=most_wait),
        )
        self._thread = threading.Thread(target=self._run, daemon=True)

    def __enter__(self) -> "PollerInThread":
        self._thread.start()
        return self

    def __exit__(self, *_error: object) -> None:
        self.stop()
        self._thread.join(5)
        assert not self._thread.is_alive()

    @property
    def is_alive(self) -> bool:
        return self._thread.is_alive()

    def stop(self) -> None:
        self.stopping.set()
        self.lane.wake()

    def ring(self, *indexes: int) -> None:
        for index in indexes:
            self.inbox.put(QUEUE.url, a_ring(index))

    def _start_unit(self, grant: UnitGrant, _doorway: Doorway, _lane: Lane) -> None:
        self.started.append(grant.unit_id)

    def _run(self) -> None:
        try:
            self.poller.run()
        except UnrecoverableError as error:
            self.error = error


@pytest.fixture
def units(control_plane: FakeControlPlane) -> Iterator[FakeControlPlane]:
    for index in (1, 2, 3):
        control_plane.add_unit(index)
    return control_plane


def test_units_are_taken_in_order_one_per_slot(units: FakeControlPlane) -> None:
    with PollerInThread(units) as loop:
        loop.ring(1, 2)
        eventually(lambda: loop.started == [unit_id(1)])
        threading.Event().wait(0.2)
        assert loop.started == [unit_id(1)], "the lane is taken"
        loop.lane.release()
        eventually(lambda: loop.started == [unit_id(1), unit_id(2)])
        assert loop.health.last_ok_at is not None


def test_trouble_is_waited_out(units: FakeControlPlane) -> None:
    with PollerInThread(units) as loop:
        for _ in range(3):
            loop.inbox.put(QUEUE.url, RecoverableError("no way to the queue"))
        loop.ring(1)
        eventually(lambda: loop.started)


def test_a_stop_cuts_a_long_wait_short(units: FakeControlPlane) -> None:
    with PollerInThread(units, most_wait=600.0) as loop:
        loop.inbox.put(QUEUE.url, RecoverableError("no way to the queue"))
        threading.Event().wait(0.1)
        loop.stop()
        eventually(lambda: not loop.is_alive, within=2)


def test_what_arrives_after_the_stop_is_handed_back(units: FakeControlPlane) -> None:
    with PollerInThread(units) as loop:
        loop.inbox.meanwhile = loop.stopping.set
        loop.ring(1)
        eventually(lambda: units.declined == [unit_id(1)])
    assert loop.started == []


def test_what_arrives_when_another_poller_was_faster_is_handed_back(units: FakeControlPlane) -> None:
    with PollerInThread(units) as loop:
        loop.inbox.meanwhile = loop.lane.try_take
        loop.ring(1)
        eventually(lambda: units.declined == [unit_id(1)])
    assert units.units[unit_id(1)].attempt == 0


@pytest.mark.parametrize("code", [NodeErrorCode.UNIT_GONE, NodeErrorCode.UNIT_LEASED, NodeErrorCode.UNIT_NOT_SUITABLE])
def test_a_unit_that_is_not_to_be_had_frees_the_lane(code: NodeErrorCode, units: FakeControlPlane) -> None:
    units.trouble("claim", refused(409, code))
    with PollerInThread(units) as loop:
        loop.ring(1, 2)
        eventually(lambda: loop.started == [unit_id(2)])


def test_a_claim_that_fails_for_long_frees_the_lane(units: FakeControlPlane) -> None:
    units.trouble("claim", *[UNAVAILABLE] * 3)
    with PollerInThread(units) as loop:
        loop.ring(1, 2)
        eventually(lambda: loop.started == [unit_id(2)])


def test_being_refused_for_good_ends_the_loop(units: FakeControlPlane) -> None:
    units.trouble("claim", refused(403, NodeErrorCode.NODE_REVOKED))
    with PollerInThread(units) as loop:
        loop.ring(1)
        eventually(lambda: loop.error)
    assert isinstance(loop.error, UnrecoverableError)
    assert loop.lane.taken == 0


def test_a_retired_poller_ends_after_its_poll(units: FakeControlPlane) -> None:
    with PollerInThread(units) as loop:
        loop.poller.retire()
        eventually(lambda: not loop.is_alive)


@pytest.mark.parametrize(
    "body", ["", "{}", "not json", '{"job_id": "j", "unit_id": "../../etc", "attempt": 0}', '{"unit_id": 5}']
)
def test_a_message_that_is_no_doorbell_is_left_alone(body: str) -> None:
    assert read_ring(queue_url=QUEUE.url, receipt_handle="h", body=body) is None


def test_a_gpu_machine_serves_both_lanes_and_a_plain_one_just_its_own() -> None:
    queues = [QUEUE, QueueGrant(capability=CapabilityClass.GPU_16G, pool="controlled", url="https://queues.example/g")]
    plain, gpu = lanes_for(cpu_slots=2, has_gpu=False), lanes_for(cpu_slots=2, has_gpu=True)
    assert [queue.url for queue, _ in served_queues(queues, plain)] == [QUEUE.url]
    assert [lane.name for _, lane in served_queues(queues, gpu)] == [LaneName.CPU, LaneName.GPU]


def test_a_lane_has_its_slots_and_no_more() -> None:
    lane = Lane(LaneName.CPU, slots=2)
    assert [lane.try_take() for _ in range(3)] == [True, True, False]
    lane.release()
    assert lane.try_take()
