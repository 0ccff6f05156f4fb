"""What a machine can do."""

from pydantic import Field

from gpupool.wire.base import Message


class Gpu(Message):
    """One GPU as NVML reports it."""

    name: str = Field(max_length=100)
    vram_mb: int = Field(ge=0)


class Capabilities(Message):
    """What the agent measures on its host when it pairs and whenever it renews its credentials."""

    cpu_count: int = Field(ge=1)
    memory_mb: int = Field(ge=1)
    disk_free_mb: int = Field(ge=0)
    gpus: list[Gpu] = Field(default_factory=list, max_length=64)
    # Single-core matrix-multiply speed; orders nodes against each other, never a promise.
    gflops: float = Field(default=0.0, ge=0, allow_inf_nan=False)
    sandbox: str = Field(default="none", max_length=40, description="bubblewrap, or none: then no queue at all")
    python: str = Field(default="", max_length=40)
    platform: str = Field(default="", max_length=100)
    agent_version: str = Field(default="", max_length=40)

    @property
    def vram_mb(self) -> int:
        """VRAM of the largest GPU; a unit runs on one GPU."""
        return max((gpu.vram_mb for gpu in self.gpus), default=0)
