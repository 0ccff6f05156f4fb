"""Is there a GPU, and does NVML see it?"""

from pathlib import Path

from gpupool.wire.capabilities import Gpu
from gpupool.wire.vocabulary import classes_served_by
from node_agent.checks.base import Finding, Level

_DEVICE = Path("/dev/nvidiactl")


def check_gpu(gpus: list[Gpu], *, device: Path = _DEVICE) -> Finding:
    if gpus:
        names = ", ".join(f"{gpu.name} ({gpu.vram_mb} MB)" for gpu in gpus)
        classes = ", ".join(capability.value for capability in classes_served_by(max(gpu.vram_mb for gpu in gpus)))
        return Finding("gpu", Level.OK, f"{names}; serves {classes}")
    if device.exists():
        return Finding(
            "gpu", Level.WARNING, "a driver is loaded but NVML shows no GPU: install nvidia-ml-py, or check `nvidia-smi`"
        )
    return Finding("gpu", Level.OK, "none; the machine serves CPU units")
