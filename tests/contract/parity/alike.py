"""The machinery: one generated sequence of operations, played on a twin in memory and on its adapter, told apart by nothing.

A machine names the ports that it plays. ``play`` fails when one of their verbs was never answered, so that a port that gets
a new verb asks for a rule here.
"""

import inspect
import os
from collections.abc import Callable, Iterable
from dataclasses import fields, is_dataclass
from datetime import UTC, datetime
from enum import Enum
from itertools import count
from typing import Any, ClassVar

from hypothesis import HealthCheck, settings
from hypothesis.stateful import RuleBasedStateMachine, run_state_machine_as_test
from pydantic import BaseModel

from gpupool.errors import AlreadyExists, CoreError, StaleWrite
from gpupool.pages import Page
from gpupool.transitions.store import SubmitRefused
from tests.contract.both import Cloud, DynamoStores, MemoryStores
from tests.support.tables import create_tables

# Set, it says how many sequences each machine plays, other ones every time: a search that takes as long as it is given.
_SEARCH = os.environ.get("PARITY_EXAMPLES")
_REFUSALS = (StaleWrite, AlreadyExists, SubmitRefused, CoreError)
_numbers = count(1)


class Refused:
    """An error of ours, as the answer that it is."""

    def __init__(self, error: Exception) -> None:
        self.error = error


def told(act: Callable[[], Any]) -> Any:
    """The answer, or the refusal; whatever else is raised is nobody's answer and flies."""
    try:
        return act()
    except _REFUSALS as error:
        return Refused(error)


def plain(value: Any) -> Any:
    """The value as something that compares by all there is to see: fields that equality leaves out, and 1 apart from 1.0."""
    if isinstance(value, Refused):
        return ["refused", type(value.error).__name__, plain(_details(value.error))]
    if is_dataclass(value) and not isinstance(value, type):
        return [type(value).__name__, {each.name: plain(getattr(value, each.name)) for each in fields(value)}]
    if isinstance(value, BaseModel):
        return [type(value).__name__, plain(value.model_dump())]
    if isinstance(value, dict):
        return {str(name): plain(inner) for name, inner in sorted(value.items())}
    if isinstance(value, set | frozenset):
        return ["set", sorted(map(repr, map(plain, value)))]
    if isinstance(value, list | tuple):
        return [type(value).__name__, *map(plain, value)]
    if isinstance(value, datetime):
        return value.astimezone(UTC).isoformat()
    return f"{type(value).__name__} {value!r}" if not isinstance(value, Enum) else str(value)


def _details(error: Exception) -> Any:
    if isinstance(error, SubmitRefused):
        return error.obstacles
    return (error.code, error.details) if isinstance(error, CoreError) else ()


class Watched:
    """A store that notes which of its verbs were answered, and not only refused."""

    def __init__(self, inner: Any, room: str, answered: set[str]) -> None:
        self._inner = inner
        self._room = room
        self._answered = answered

    def __getattr__(self, name: str) -> Any:
        found = getattr(self._inner, name)
        if not callable(found):
            return found

        def call(*args: Any, **named: Any) -> Any:
            answer = found(*args, **named)
            self._answered.add(f"{self._room}.{name}")
            return answer

        return call


class Alike(RuleBasedStateMachine):
    """Two implementations of some ports. ``ports`` are those ports by the name that both sides have them under."""

    ports: ClassVar[dict[str, type]]

    def __init__(self, memory: Any, adapter: Any) -> None:
        super().__init__()
        self.sides = (memory, adapter)
        self._places: dict[tuple[int, str], Any] = {}

    @classmethod
    def make(cls, cloud: Cloud) -> "Alike":
        """A machine over two empty sides."""
        raise NotImplementedError

    def readable(self, side: Any) -> Any:
        """Everything that can be read of a side at the end."""
        raise NotImplementedError

    def both(self, act: Callable[[Any], Any]) -> Any:
        """The answer of either side, which is the other's too."""
        answers = [told(lambda side=side: act(side)) for side in self.sides]
        assert plain(answers[0]) == plain(answers[1]), "the twin in memory (left) and the adapter answer differently"
        return answers[0]

    def turn(self, listing: str, page: Callable[[Any, Any], Page[Any]], *, start: bool) -> None:
        """The next page of a listing, or its first one. Each side goes on from its own key: keys are opaque."""
        answers = []
        for number, side in enumerate(self.sides):
            found = page(side, None if start else self._places.get((number, listing)))
            self._places[number, listing] = found.next_key
            answers.append((found.items, found.next_key is not None))
        assert plain(answers[0]) == plain(answers[1]), "the twin in memory (left) and the adapter have another page"

    def teardown(self) -> None:
        ends = [plain(self.readable(side)) for side in self.sides]
        assert ends[0] == ends[1], "the twin in memory (left) and the adapter came to another end"


class StoresAlike(Alike):
    """Both kinds of ``Stores``, over ``tables``."""

    tables: ClassVar[tuple[str, ...]]
    answered: ClassVar[set[str]]

    def __init_subclass__(cls) -> None:
        cls.answered = set()

    @classmethod
    def make(cls, cloud: Cloud) -> "StoresAlike":
        client, prefix = cloud("dynamodb"), f"parity-{next(_numbers)}-"
        create_tables(client, *cls.tables, prefix=prefix)
        adapter = DynamoStores(client, prefix=prefix)
        for room in cls.ports:
            setattr(adapter, room, Watched(getattr(adapter, room), room, cls.answered))
        return cls(MemoryStores(), adapter)

    def teardown(self) -> None:
        super().teardown()
        adapter = self.sides[1]
        for name in self.tables:
            adapter.client.delete_table(TableName=adapter.prefix + name)

    def now(self) -> datetime:
        found: datetime = self.sides[0].clock.now()
        return found

    def advance(self, seconds: float) -> None:
        for side in self.sides:
            side.clock.advance(seconds)


def all_pages(page: Callable[[Any], Page[Any]], *, limit: int = 50) -> list[Any]:
    """The items of every page."""
    found: list[Any] = []
    key = None
    for _ in range(limit):
        got = page(key)
        found += got.items
        key = got.next_key
        if key is None:
            return found
    raise AssertionError("the pages have no end")


def verbs(port: type) -> Iterable[str]:
    """What a port can be asked."""
    return sorted(name for name, member in vars(port).items() if inspect.isfunction(member) and not name.startswith("_"))


def play(machine: type[Any], cloud: Cloud, *, examples: int, steps: int) -> None:
    """Plays sequences until two answers differ. Every verb of the machine's ports has to be answered in one of them."""
    machine.answered.clear()
    repeatable: dict[str, Any] = {} if _SEARCH else {"derandomize": True}
    run_state_machine_as_test(
        lambda: machine.make(cloud),
        settings=settings(
            max_examples=int(_SEARCH or examples),
            stateful_step_count=steps,
            deadline=None,
            database=None,
            print_blob=False,
            suppress_health_check=list(HealthCheck),
            **repeatable,
        ),
    )
    wanted = {f"{room}.{verb}" for room, port in machine.ports.items() for verb in verbs(port)}
    assert wanted - machine.answered == set(), "no sequence got an answer from these: the machine lacks a rule for them"
