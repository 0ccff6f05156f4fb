"""Measuring a running unit, and deciding when it has to end."""

from dataclasses import dataclass
from enum import StrEnum

from node_agent.sandbox import disk, processes
from node_agent.sandbox.cgroup import ControlGroup
from node_agent.sandbox.sandbox import Limits, Usage
from node_agent.sandbox.stage import Stage

_MIB = 1 << 20
_LANDMARK = "opt/gpupool/inputs"


class StopReason(StrEnum):
    """Why the agent ends a unit that would go on."""

    CANCELLED = "cancelled"
    TIME = "time"
    LOG = "log"
    MEMORY = "memory"
    PROCESSES = "processes"
    DISK = "disk"


# With these the unit is told first and may save a checkpoint; a breach of any other bound ends it on the spot.
GENTLE = frozenset({StopReason.CANCELLED, StopReason.TIME})


@dataclass(frozen=True, kw_only=True)
class Situation:
    """Everything the decision looks at. ``breaches``: bounds known to be broken although the last sample is within.

    The kernel may have killed one process of many for the unit's memory: what remains waits for it for ever.
    """

    elapsed: float
    cancelled: bool
    log_bytes: int
    usage: Usage
    breaches: frozenset[StopReason] = frozenset()


def reason_to_stop(now: Situation, limits: Limits) -> StopReason | None:
    """The first bound that the unit has broken, in the order of what the customer can act on."""
    breached = {
        StopReason.CANCELLED: now.cancelled,
        StopReason.LOG: now.log_bytes > limits.log_bytes,
        StopReason.PROCESSES: now.usage.processes >= limits.processes,
        StopReason.MEMORY: now.usage.memory_mb > limits.memory_mb,
        StopReason.DISK: now.usage.disk_mb > limits.disk_mb,
        StopReason.TIME: now.elapsed > limits.wall_seconds,
    }
    return next((reason for reason, is_broken in breached.items() if is_broken or reason in now.breaches), None)


class Watch:
    """Samples one unit's processes and folders."""

    def __init__(self, pid: int, stage: Stage, *, limits: Limits, group: ControlGroup | None) -> None:
        self.usage = Usage()
        self.breaches: frozenset[StopReason] = frozenset()
        self._pid = pid
        self._stage = stage
        self._limits = limits
        self._group = group
        self._device = stage.root.stat().st_dev

    def sample_processes(self) -> None:
        """Memory and processes; cheap enough for several times a second."""
        pids = processes.tree(self._pid)
        memory = self._group.memory_mb() if self._group else self._memory_of(pids)
        if self._group is not None and self._group.out_of_memory():
            self.breaches |= {StopReason.MEMORY}
        if self._group is not None and self._group.refused_processes():
            self.breaches |= {StopReason.PROCESSES}
        self.usage = Usage(
            memory_mb=memory,
            peak_memory_mb=max(memory, self.usage.peak_memory_mb),
            disk_mb=self.usage.disk_mb,
            processes=processes.task_count(pids),
        )

    def sample_disk(self) -> None:
        """What the unit has written, with files that it deleted but holds open."""
        hidden, _ = processes.deleted_bytes(processes.tree(self._pid), self._device)
        try:
            written = sum(disk.bytes_below(folder) for folder in (self._stage.ml, self._stage.outbox))
        except disk.UnmeasurableError:
            self.breaches |= {StopReason.DISK}
            return
        usage = self.usage
        self.usage = Usage(
            memory_mb=usage.memory_mb,
            peak_memory_mb=usage.peak_memory_mb,
            disk_mb=(written + hidden) // _MIB,
            processes=usage.processes,
        )

    def _memory_of(self, pids: list[int]) -> int:
        _, anonymous = processes.deleted_bytes(pids, self._device)
        unmapped = processes.scratch_mb(pids, landmark=_LANDMARK) + anonymous // _MIB
        quick = processes.resident_mb(pids) + unmapped
        if quick <= self._limits.memory_mb // 2:
            return quick
        ordinary, shared = processes.proportional_mb(pids)
        # A page of /tmp that is also mapped appears in both figures, so the larger one counts; a unit that hides
        # memory in that overlap still stays below twice its limit.
        return ordinary + max(shared, unmapped)
