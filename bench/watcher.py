"""Watches the calls of AWS clients through botocore's own events."""

from dataclasses import dataclass, field
from typing import Any

_KEY = "bench_calls"


@dataclass
class Call:
    """One call while it is under way: ``accepts`` names the parameters it may have, ``notes`` is its watcher's."""

    service: str
    operation: str
    params: dict[str, Any]
    accepts: frozenset[str] = frozenset()
    notes: dict[str, Any] = field(default_factory=dict)


class Watcher:
    """What subclasses say of each call; several may watch the same client."""

    def watch(self, client: Any) -> None:
        client.meta.events.register("provide-client-params", self._begin)
        client.meta.events.register("after-call", self._end)

    def before(self, call: Call) -> dict[str, Any] | None:
        """Parameters to send instead, or None to send them as they are. Also asked for URLs that are only signed."""

    def after(self, call: Call, answer: dict[str, Any]) -> None:
        """The answer has come, be it a refusal."""

    def _begin(self, params: dict[str, Any], model: Any, context: dict[str, Any], **_: Any) -> dict[str, Any] | None:
        call = Call(str(model.service_model.service_name), str(model.name), params, frozenset(model.input_shape.members))
        context.setdefault(_KEY, {})[id(self)] = call
        return self.before(call)

    def _end(self, parsed: dict[str, Any], context: dict[str, Any], **_: Any) -> None:
        call = context.get(_KEY, {}).get(id(self))
        if call is not None:
            self.after(call, parsed)
