"""What a machine can do, and the classes of work that follow from it."""

from enum import StrEnum

from pydantic import Field

from gpupool.wire.base import Message


class CapabilityClass(StrEnum):
    """One queue per class and pool; the number is the VRAM in GB that a unit of the class may ask for."""

    CPU = "cpu"
    GPU_8G = "gpu-8g"
    GPU_16G = "gpu-16g"
    GPU_24G = "gpu-24g"
    GPU_80G = "gpu-80g"


# Decimal megabytes, a little under what such cards report, because drivers keep some memory for themselves.
VRAM_FLOOR_MB: dict[CapabilityClass, int] = {
    CapabilityClass.CPU: 0,
    CapabilityClass.GPU_8G: 8_000,
    CapabilityClass.GPU_16G: 16_000,
    CapabilityClass.GPU_24G: 24_000,
    CapabilityClass.GPU_80G: 80_000,
}


def class_for_vram(required_vram_mb: int) -> CapabilityClass | None:
    """The smallest class whose machines have ``required_vram_mb``; None when no class is large enough."""
    for capability, floor in VRAM_FLOOR_MB.items():
        if required_vram_mb <= floor:
            return capability
    return None


def classes_served_by(vram_mb: int) -> tuple[CapabilityClass, ...]:
    """Every class whose units fit a machine with ``vram_mb`` on its largest GPU (0: no GPU)."""
    return tuple(capability for capability, floor in VRAM_FLOOR_MB.items() if floor <= vram_mb)


class Gpu(Message):
    """One GPU as NVML reports it."""

    name: str = Field(max_length=100)
    vram_mb: int = Field(ge=0)


class Capabilities(Message):
    """What the agent measured on its host when it started."""

    cpu_count: int = Field(ge=1)
    memory_mb: int = Field(ge=1)
    disk_free_mb: int = Field(ge=0)
    gpus: list[Gpu] = Field(default_factory=list, max_length=64)
    # Single-core matrix-multiply speed; orders nodes against each other, never a promise.
    gflops: float = Field(default=0.0, ge=0, allow_inf_nan=False)
    sandbox: str = Field(default="none", max_length=40, description="bubblewrap, or none: then only its owner's units")
    python: str = Field(default="", max_length=40)
    platform: str = Field(default="", max_length=100)
    agent_version: str = Field(default="", max_length=40)

    @property
    def vram_mb(self) -> int:
        """VRAM of the largest GPU; a unit runs on one GPU."""
        return max((gpu.vram_mb for gpu in self.gpus), default=0)
