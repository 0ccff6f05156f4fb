"""A lane is one resource of the machine with its slots; the queues of that resource feed it, and only while it is free."""

import threading
from enum import StrEnum

from gpupool.wire.joining import QueueGrant
from gpupool.wire.vocabulary import CapabilityClass


class LaneName(StrEnum):
    CPU = "cpu"
    GPU = "gpu"


def lane_of(capability: CapabilityClass) -> LaneName:
    return LaneName.CPU if capability is CapabilityClass.CPU else LaneName.GPU


class Lane:
    """``slots`` units at a time. Thread-safe."""

    def __init__(self, name: LaneName, *, slots: int) -> None:
        self.name = name
        self._slots = slots
        self._taken = 0
        self._changed = threading.Condition()

    @property
    def taken(self) -> int:
        return self._taken

    def wait_until_free(self, stopping: threading.Event) -> bool:
        """Block until a slot is free (True) or ``stopping`` is set and ``wake`` was called (False)."""
        with self._changed:
            self._changed.wait_for(lambda: stopping.is_set() or self._taken < self._slots)
            return not stopping.is_set()

    def try_take(self) -> bool:
        """Take a slot now, or say that another poller of the lane was faster."""
        with self._changed:
            if self._taken >= self._slots:
                return False
            self._taken += 1
            return True

    def release(self) -> None:
        with self._changed:
            self._taken -= 1
            self._changed.notify_all()

    def wake(self) -> None:
        """Let waiters look at their stop event."""
        with self._changed:
            self._changed.notify_all()


def lanes_for(*, cpu_slots: int, has_gpu: bool) -> dict[LaneName, Lane]:
    """A GPU lane has one slot however many GPUs there are: a unit's class was chosen by the largest one."""
    lanes = {LaneName.CPU: Lane(LaneName.CPU, slots=cpu_slots)}
    if has_gpu:
        lanes[LaneName.GPU] = Lane(LaneName.GPU, slots=1)
    return lanes


def served_queues(queues: list[QueueGrant], lanes: dict[LaneName, Lane]) -> list[tuple[QueueGrant, Lane]]:
    """The queues that this machine polls, each with the lane it feeds."""
    return [(queue, lanes[lane_of(queue.capability)]) for queue in queues if lane_of(queue.capability) in lanes]
