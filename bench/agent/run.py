"""``python -m bench.agent.run``: CPU time and memory of an idle agent that polls a real local stack."""

import tempfile
import time
from pathlib import Path
from typing import Any

import psutil

from local.nodes import start_node
from local.testing import private_stack

TARGET_CPU_PERCENT = 1.0
TARGET_RSS_MB = 80.0
_SETTLE_SECONDS = 15
_WINDOW_SECONDS = 60


def run() -> dict[str, Any]:
    """Percent of one core over a minute, and the resident memory at its end."""
    with tempfile.TemporaryDirectory() as home, private_stack(Path(home)) as stack:
        node = start_node("idle", home=Path(home), stack=stack.variables)
        try:
            time.sleep(_SETTLE_SECONDS)
            node.check()
            measured = _measure(psutil.Process(node.process.pid))
        finally:
            node.stop()
    print(
        f"agent idle       {measured['cpu_percent']:.2f} % of one core (target <= {TARGET_CPU_PERCENT})   "
        f"{measured['rss_mb']:.0f} MB in {measured['processes']} process(es) (target <= {TARGET_RSS_MB:.0f})"
    )
    return measured


def _measure(agent: psutil.Process) -> dict[str, Any]:
    before, started = agent.cpu_times(), time.monotonic()
    time.sleep(_WINDOW_SECONDS)
    after, seconds = agent.cpu_times(), time.monotonic() - started
    family = [agent, *agent.children(recursive=True)]
    used = (after.user - before.user) + (after.system - before.system)
    return {
        "cpu_percent": 100 * used / seconds,
        "rss_mb": sum(one.memory_info().rss for one in family) / 1_000_000,
        "processes": len(family),
        "window_seconds": round(seconds, 1),
    }


if __name__ == "__main__":
    run()
