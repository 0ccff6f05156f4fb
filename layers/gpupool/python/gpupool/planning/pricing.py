"""Credits. A unit costs its class's rate for every minute that it started, and never more than was quoted."""

import math

from gpupool.jobs.model import Quote, QuoteLine
from gpupool.planning.model import Plan
from gpupool.wire.vocabulary import CapabilityClass, class_for_vram

CREDITS_PER_MINUTE: dict[CapabilityClass, int] = {
    CapabilityClass.CPU: 1,
    CapabilityClass.GPU_8G: 4,
    CapabilityClass.GPU_16G: 6,
    CapabilityClass.GPU_24G: 10,
    CapabilityClass.GPU_80G: 40,
}


def credits_max(capability: CapabilityClass, max_runtime_seconds: int) -> int:
    """The most credits that a unit of ``capability`` can cost."""
    return CREDITS_PER_MINUTE[capability] * _started_minutes(max_runtime_seconds)


def charge(credits_max: int, capability: CapabilityClass, runtime_seconds: float) -> int:
    """What a completed unit costs: at least 1, at most ``credits_max``, whatever runtime the node reports."""
    if not math.isfinite(runtime_seconds):
        return credits_max
    return max(1, min(credits_max, CREDITS_PER_MINUTE[capability] * _started_minutes(runtime_seconds)))


def quote(plan: Plan) -> Quote:
    """The most a job can cost: the sum of its units' ceilings, by class from the smallest up."""
    units = dict.fromkeys(CapabilityClass, 0)
    credits = dict.fromkeys(CapabilityClass, 0)
    for group in plan.units.groups:
        capability = capability_for(group.required_vram_mb)
        units[capability] += group.count
        credits[capability] += group.count * credits_max(capability, group.max_runtime_seconds)
    lines = tuple(QuoteLine(each.value, units[each], credits[each]) for each in CapabilityClass if units[each])
    return Quote(sum(credits.values()), lines)


def capability_for(required_vram_mb: int) -> CapabilityClass:
    """The class that a planned unit runs on. Plans ask for no more VRAM than the largest class has."""
    capability = class_for_vram(required_vram_mb)
    if capability is None:
        raise ValueError(f"no class has {required_vram_mb} MB of VRAM")
    return capability


def _started_minutes(seconds: float) -> int:
    return max(1, math.ceil(seconds / 60))
