"""Counts and times the AWS calls of a client, through botocore's own events."""

import time
from dataclasses import dataclass, field
from typing import Any


@dataclass
class Meter:
    """``seconds`` is the time inside the calls: building the request, the round trip, and reading the answer's body."""

    calls: list[str] = field(default_factory=list)
    seconds: float = 0.0
    capacity_units: float = 0.0
    count_units: bool = False
    _started: float = 0.0

    def watch(self, client: Any) -> None:
        client.meta.events.register("provide-client-params", self._begin)
        client.meta.events.register("after-call", self._end)

    def reset(self, *, count_units: bool = False) -> None:
        self.calls.clear()
        self.seconds = self.capacity_units = 0.0
        self.count_units = count_units

    def _begin(self, params: dict[str, Any], model: Any, **_: Any) -> dict[str, Any]:
        self.calls.append(str(model.name))
        self._started = time.perf_counter()
        wanted = self.count_units and "ReturnConsumedCapacity" in model.input_shape.members
        return {**params, "ReturnConsumedCapacity": "TOTAL"} if wanted else params

    def _end(self, parsed: dict[str, Any], **_: Any) -> None:
        self.seconds += time.perf_counter() - self._started
        used = parsed.get("ConsumedCapacity") or []
        for each in [used] if isinstance(used, dict) else used:
            self.capacity_units += float(each.get("CapacityUnits", 0))
