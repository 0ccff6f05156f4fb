"""The words that messages, rows and plans share. No message is needed to use them, so importing them costs nothing."""

from enum import StrEnum


class UnitKind(StrEnum):
    """What a unit mainly needs."""

    CPU = "cpu"
    GPU = "gpu"


class UnitRole(StrEnum):
    """What the unit does; prepare, package and select are the platform's own code, the rest runs the package's."""

    PREPARE = "prepare"
    TRAIN = "train"
    EVALUATE = "evaluate"
    PACKAGE = "package"
    SELECT = "select"
    RUN = "run"


class ArtifactKind(StrEnum):
    CHECKPOINT = "checkpoint"
    MODEL = "model"
    METRICS = "metrics"
    LOGS = "logs"


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
