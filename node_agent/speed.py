"""A short measure of one core. It orders machines against each other and is never shown as a promise."""

import logging
import operator
import platform
import time
from pathlib import Path
from typing import Any

from node_agent import AGENT_VERSION
from node_agent.agent_log import log_event
from node_agent.state import StateDir

logger = logging.getLogger(__name__)
SPEED_FILE = "speed.json"
_SIZE = 64
_ROUNDS = 3


def measured_gflops(state: StateDir) -> float:
    """The speed of this machine, measured once per agent version, Python and processor."""
    key = {"agent": AGENT_VERSION, "python": platform.python_version(), "machine": _processor()}
    kept = state.read_json(SPEED_FILE)
    if kept is not None and {name: kept.get(name) for name in key} == key and _is_speed(kept.get("gflops")):
        return float(kept["gflops"])
    gflops = round(_measure(), 4)
    try:
        state.write_json(SPEED_FILE, {**key, "gflops": gflops})
    except OSError as error:  # measured again next time
        log_event(logger, "speed.unwritten", level=logging.WARNING, error=str(error))
    return gflops


def _is_speed(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and value > 0


def _measure() -> float:
    """Best of a few rounds in plain Python: numpy may be absent, and its presence must not change the scale."""
    rows = [[float(i * j % 7) for j in range(_SIZE)] for i in range(_SIZE)]
    best = min(_seconds_for_product(rows) for _ in range(_ROUNDS))
    return 2 * _SIZE**3 / best / 1e9


def _seconds_for_product(rows: list[list[float]]) -> float:
    started = time.perf_counter()
    for row in rows:
        for column in rows:
            sum(map(operator.mul, row, column))
    return time.perf_counter() - started


def _processor() -> str:
    try:
        with Path("/proc/cpuinfo").open(encoding="utf-8", errors="replace") as lines:
            names = (line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
            return next(names, platform.machine())
    except OSError:
        return platform.machine()
