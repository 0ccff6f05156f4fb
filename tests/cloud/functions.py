"""Lambda: loads the real handlers and runs them, one process at a time per copy."""

import importlib
import importlib.util
import json
import traceback
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from threading import Thread
from typing import Any

from tests.cloud.calls import Crash, Invocation, Wire
from tests.support.events import FakeLambdaContext, event_loop

ROOT = Path(__file__).parents[2]
Handler = Callable[[Any, Any], Any]


def rooms() -> list[str]:
    """Every folder with a handler."""
    return sorted(path.parent.name for path in (ROOT / "functions").glob("*/handler.py"))


@dataclass(frozen=True)
class Result:
    """How a run ended: with a value, or with the name of an error as Lambda tells it to whoever invoked."""

    value: Any = None
    error: str | None = None
    cause: str = ""

    @property
    def failed(self) -> bool:
        return self.error is not None


Invoke = Callable[[Invocation], Result]


class Functions:
    """``around`` may wrap a run: it gets the invocation and what would run it, and answers the result."""

    def __init__(self, wire: Wire) -> None:
        self.wire = wire
        self.around: Callable[[Invocation, Invoke], Result] | None = None
        self.invoked: set[str] = set()
        self.errors: list[str] = []
        self._copies: dict[tuple[str, int], Handler] = {}

    def invoke(self, room: str, event: Any, *, trigger: str) -> Result:
        """One invocation, as whoever triggers it sees it."""
        invocation = Invocation(room, event, trigger)
        return self.around(invocation, self.run) if self.around else self.run(invocation)

    def run(self, invocation: Invocation, *, copy: int = 0) -> Result:
        """Runs the handler in the process ``copy``; events and results pass as JSON, as they do in Lambda."""
        self.invoked.add(invocation.room)
        handler = self._handler(invocation.room, copy)
        event = json.loads(json.dumps(invocation.event))
        with event_loop():
            try:
                value = self.wire.run(invocation, lambda: handler(event, FakeLambdaContext(invocation.room)))
            except Crash:
                return _crashed()
            except Exception as error:  # noqa: BLE001  whatever a handler raises is its result
                self.errors.append(f"{invocation.room} [{invocation.trigger}]: {traceback.format_exc()[-1500:]}")
                return Result(error=type(error).__name__, cause=str(error))
        # A web framework may turn the end of its process into an answer; nobody would have got that.
        return _crashed() if invocation.crashed else Result(json.loads(json.dumps(value)))

    def run_beside(self, invocation: Invocation) -> Result:
        """Runs a second process while the first one is inside a call."""
        results: list[Result] = []
        thread = Thread(target=lambda: results.append(self.run(invocation, copy=1)))
        thread.start()
        thread.join()
        return results[0]

    def _handler(self, room: str, copy: int) -> Handler:
        if (room, copy) not in self._copies:
            self._copies[room, copy] = _loaded(room, copy)
        return self._copies[room, copy]


def _loaded(room: str, copy: int) -> Handler:
    """A handler; a further copy shares no state of its module with the first one."""
    name = f"functions.{room}.handler"
    if copy == 0:
        return importlib.import_module(name).handler  # type: ignore[no-any-return]
    spec = importlib.util.spec_from_file_location(f"{name}_copy_{copy}", ROOT / "functions" / room / "handler.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module.handler  # type: ignore[no-any-return]


def _crashed() -> Result:
    return Result(error="Lambda.Unknown", cause="The process ended before it answered.")
