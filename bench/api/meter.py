"""Counts and times the AWS calls of a client."""

import time
from dataclasses import dataclass, field
from typing import Any

from bench.watcher import Call, Watcher


@dataclass
class Meter(Watcher):
    """``seconds`` is the time inside the calls: building the request, the round trip, and reading the answer's body."""

    calls: list[str] = field(default_factory=list)
    seconds: float = 0.0
    capacity_units: float = 0.0
    count_units: bool = False
    _started: float = 0.0

    def reset(self, *, count_units: bool = False) -> None:
        self.calls.clear()
        self.seconds = self.capacity_units = 0.0
        self.count_units = count_units

    def before(self, call: Call) -> dict[str, Any] | None:
        self._started = time.perf_counter()
        wanted = self.count_units and "ReturnConsumedCapacity" in call.accepts
        return {**call.params, "ReturnConsumedCapacity": "TOTAL"} if wanted else None

    def after(self, call: Call, answer: dict[str, Any]) -> None:
        self.calls.append(call.operation)
        self.seconds += time.perf_counter() - self._started
        used = answer.get("ConsumedCapacity") or []
        for each in [used] if isinstance(used, dict) else used:
            self.capacity_units += float(each.get("CapacityUnits", 0))
