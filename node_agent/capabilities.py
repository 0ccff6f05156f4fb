"""What this host can do: processors, memory, disk, GPUs through NVML, measured speed."""

import logging
import os
import platform
import shutil
from pathlib import Path
from typing import Any

from gpupool.wire.capabilities import Capabilities, Gpu
from node_agent import AGENT_VERSION
from node_agent.agent_log import log_event

logger = logging.getLogger(__name__)
_CGROUP_MEMORY_LIMIT = Path("/sys/fs/cgroup/memory.max")
_MOST_GPUS = 64
BYTES_PER_MB = 1_000_000


def measure_capabilities(*, work_root: Path, sandbox: str, gflops: float, gpus: list[Gpu]) -> Capabilities:
    """``work_root`` must exist: its disk is the one that units fill."""
    return Capabilities(
        cpu_count=usable_cpus(),
        memory_mb=max(1, memory_bytes() // BYTES_PER_MB),
        disk_free_mb=shutil.disk_usage(work_root).free // BYTES_PER_MB,
        gpus=gpus,
        gflops=gflops,
        sandbox=sandbox,
        python=platform.python_version(),
        platform=platform.platform()[:100],
        agent_version=AGENT_VERSION,
    )


def usable_cpus() -> int:
    """Cores that this process may use, which a container or taskset may have narrowed."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def memory_bytes() -> int:
    """Physical memory, or the limit of the container that the agent runs in."""
    physical = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    try:
        limit = int(_CGROUP_MEMORY_LIMIT.read_text(encoding="ascii"))
    except (OSError, ValueError):  # no such controller, or the word "max"
        return physical
    return min(physical, limit)


def find_gpus() -> list[Gpu]:
    """Every GPU that NVML reports; none where the library or the driver is absent."""
    try:
        import pynvml  # kept off the import path of the many machines without a GPU
    except ImportError:
        return []
    return read_gpus(pynvml)


def read_gpus(nvml: Any) -> list[Gpu]:
    """``nvml`` has the names of the module ``pynvml``."""
    try:
        nvml.nvmlInit()
    except nvml.NVMLError as error:
        log_event(logger, "gpu.none", level=logging.DEBUG, reason=str(error))
        return []
    try:
        return [_gpu(nvml, index) for index in range(min(nvml.nvmlDeviceGetCount(), _MOST_GPUS))]
    except nvml.NVMLError as error:
        log_event(logger, "gpu.unreadable", level=logging.WARNING, reason=str(error))
        return []
    finally:
        nvml.nvmlShutdown()


def _gpu(nvml: Any, index: int) -> Gpu:
    handle = nvml.nvmlDeviceGetHandleByIndex(index)
    name = nvml.nvmlDeviceGetName(handle)
    text = name.decode(errors="replace") if isinstance(name, bytes) else str(name)
    return Gpu(name=text[:100], vram_mb=nvml.nvmlDeviceGetMemoryInfo(handle).total // BYTES_PER_MB)
