"""Machines with valid defaults; a test names what matters to it."""

from datetime import UTC, datetime
from typing import Any

from gpupool.dispatch.model import QueueUrls
from gpupool.nodes.model import Node, Tier
from gpupool.units.model import Pool
from gpupool.wire.capabilities import Capabilities, Gpu
from gpupool.wire.vocabulary import CapabilityClass

START = datetime(2026, 1, 1, tzinfo=UTC)
NODE_ID = "01890a5d-ac96-774b-bcce-b302099a7f3a"

URLS = QueueUrls(
    {
        f"{pool}-{capability}": f"https://sqs.eu-central-1.amazonaws.com/123456789012/gpupool-{pool}-{capability}"
        for pool in Pool
        for capability in CapabilityClass
    }
)


def some_capabilities(*, vram_mb: int = 0, sandbox: str = "bubblewrap", disk_free_mb: int = 50_000) -> Capabilities:
    gpus = [Gpu(name="A GPU", vram_mb=vram_mb)] if vram_mb else []
    return Capabilities(
        cpu_count=8, memory_mb=16_000, disk_free_mb=disk_free_mb, gpus=gpus, gflops=41.5, sandbox=sandbox, python="3.11.7"
    )


def a_node(**changes: Any) -> Node:
    defaults: dict[str, Any] = {
        "id": NODE_ID,
        "name": "Ada's tower",
        "tier": Tier.CONTROLLED,
        "key_hash": "0" * 64,
        "capabilities": some_capabilities(),
        "paired_at": START,
        "last_seen_at": START,
    }
    return Node(**(defaults | changes))
