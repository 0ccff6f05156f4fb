"""The machinery: one generated sequence of operations, played on a twin in memory and on its adapter, told apart by nothing.

A player names the ports that it plays and has an ``operation`` for what can be asked of them. ``play`` fails when one of their
verbs never got an answer that says something, so that a port that gets a new verb asks for an operation here.
"""

import inspect
import os
from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import fields, is_dataclass
from datetime import UTC, datetime
from enum import Enum
from itertools import count
from typing import Any, ClassVar, TypeVar, get_type_hints

from hypothesis import HealthCheck, Phase, given, seed, settings
from hypothesis import strategies as st
from pydantic import BaseModel

from gpupool.errors import AlreadyExists, CoreError, StaleWrite
from gpupool.pages import Page
from gpupool.transitions.store import SubmitRefused
from tests.contract.both import Cloud, DynamoStores, MemoryStores
from tests.support.tables import create_tables

# Set, it says how many sequences each player plays, other ones every time: a search that takes as long as it is given.
SEARCH = os.environ.get("PARITY_EXAMPLES")
# How often sequences are played at most, and how many each time after the first.
_TURNS, _MORE = 6, 4
_REFUSALS = (StaleWrite, AlreadyExists, SubmitRefused, CoreError)
_numbers = count(1)

Act = TypeVar("Act", bound=Callable[..., None])
# The name of an operation, and what it is called with.
Step = tuple[str, dict[str, Any]]


def operation(*, needs: str | None = None, often: int = 1, **arguments: st.SearchStrategy[Any]) -> Callable[[Act], Act]:
    """Makes a method something that sequences do with such ``arguments``, ``often`` times as often as the others.

    It is passed over while the player's attribute ``needs`` is empty.
    """

    def mark(act: Act) -> Act:
        act.operation = (needs, often, st.fixed_dictionaries(arguments))  # type: ignore[attr-defined]
        return act

    return mark


class Refused:
    """An error of ours, as the answer that it is."""

    def __init__(self, error: Exception) -> None:
        self.error = error


def fresh_prefix() -> str:
    """Begins the names of what one sequence uses."""
    return f"parity-{next(_numbers)}-"


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


def same(answers: list[Any], what: str) -> None:
    memory, adapter = map(plain, answers)
    if memory != adapter:
        place, left, right = _difference(memory, adapter)
        raise AssertionError(f"the twin and the adapter {what}, first at {place or 'the top'}:\n  {left}\n  {right}")


def _difference(left: Any, right: Any, place: str = "") -> tuple[str, Any, Any]:
    """Where two plain values begin to differ, and what is there."""
    if isinstance(left, dict) and isinstance(right, dict) and left.keys() == right.keys():
        pairs = [(f"{place}.{name}", left[name], right[name]) for name in left]
    elif isinstance(left, list) and isinstance(right, list) and len(left) == len(right):
        pairs = [(f"{place}[{at}]", *pair) for at, pair in enumerate(zip(left, right, strict=True))]
    else:
        pairs = []
    return next((_difference(one, other, where) for where, one, other in pairs if one != other), (place, left, right))


class Watched:
    """A store that notes which of its verbs got an answer that says something: not a refusal, not nothing."""

    def __init__(self, inner: Any, room: str, port: type, answered: set[str]) -> None:
        self._inner = inner
        self._room = room
        self._port = port
        self._answered = answered

    def __getattr__(self, name: str) -> Any:
        verb = getattr(self._inner, name)
        silent = get_type_hints(getattr(self._port, name))["return"] is type(None)

        def call(*args: Any, **named: Any) -> Any:
            answer = verb(*args, **named)
            said = answer.items if isinstance(answer, Page) else answer
            if silent or (said is not False and said is not None and not (isinstance(said, Collection) and not said)):
                self._answered.add(f"{self._room}.{name}")
            return answer

        return call


class Player:
    """Plays operations on two implementations of ``ports``, which both sides have under these names."""

    ports: ClassVar[dict[str, type]]
    answered: ClassVar[set[str]]

    def __init_subclass__(cls) -> None:
        cls.answered = set()

    def __init__(self, memory: Any, adapter: Any) -> None:
        self.sides = (memory, adapter)
        self._places: dict[tuple[int, str], Any] = {}

    @classmethod
    def make(cls, cloud: Cloud) -> "Player":
        """A player over two empty sides."""
        raise NotImplementedError

    def begin(self, kind: int) -> None:
        """What is there when the sequence begins; ``kind`` is 0 to 2, and 0 stands for nothing."""

    def check(self) -> None:
        """What must hold after every operation."""

    def readable(self, side: Any) -> Any:
        """Everything that can be read of a side at the end."""
        raise NotImplementedError

    def clear(self) -> None:
        """Takes away what ``make`` has made."""

    def both(self, act: Callable[[Any], Any]) -> Any:
        """The answer of either side, which is the other's too."""
        answers = [told(lambda side=side: act(side)) for side in self.sides]
        same(answers, "answer differently")
        return answers[0]

    def turn(self, listing: str, page: Callable[[Any, Any], Page[Any]], *, start: bool) -> None:
        """The next page of a listing, or its first one. Each side goes on from its own key: keys are opaque."""
        answers = []
        for number, side in enumerate(self.sides):
            found = page(side, None if start else self._places.get((number, listing)))
            self._places[number, listing] = found.next_key
            answers.append((found.items, found.next_key is not None))
        same(answers, "have different pages")

    def play(self, kind: int, steps: Sequence[Step]) -> None:
        try:
            self.begin(kind)
            for name, arguments in steps:
                act = getattr(self, name)
                needs = act.operation[0]
                if needs is None or getattr(self, needs):
                    act(**arguments)
                    self.check()
            same([self.readable(side) for side in self.sides], "came to different ends")
        except Exception as error:
            # A plugin that comes with the other generated tests takes the examples out of Hypothesis's own reports.
            error.add_note(f"begun with {kind}, then:\n" + "\n".join(f"  {name} {arguments}" for name, arguments in steps))
            raise
        finally:
            self.clear()


@st.composite
def sequences(draw: st.DrawFn, player: type[Player], length: int) -> list[Step]:
    """Of so many steps, or fewer: one that is not needed to show a difference shrinks to none."""
    steps: list[st.SearchStrategy[Step | None]] = [st.none()]
    for name, act in vars(player).items():
        if hasattr(act, "operation"):
            _, often, arguments = act.operation
            steps += [st.tuples(st.just(name), arguments)] * often
    return [step for _ in range(length) if (step := draw(st.one_of(steps))) is not None]


class StoresPlayer(Player):
    """Both kinds of ``Stores``, over ``tables``."""

    tables: ClassVar[tuple[str, ...]]

    @classmethod
    def make(cls, cloud: Cloud) -> "StoresPlayer":
        client, prefix = cloud("dynamodb"), fresh_prefix()
        create_tables(client, *cls.tables, prefix=prefix)
        adapter = DynamoStores(client, prefix=prefix)
        for room, port in cls.ports.items():
            setattr(adapter, room, Watched(getattr(adapter, room), room, port, cls.answered))
        return cls(MemoryStores(), adapter)

    def clear(self) -> None:
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


def play(player: type[Player], cloud: Cloud, *, examples: int, length: int, of: str = "") -> None:
    """Plays sequences until two answers differ, for another ``of`` other ones.

    Every verb of the player's ports has to say something in one of them; some more are played where that is rare.
    """
    player.answered.clear()
    asked = {f"{room}.{verb}" for room, port in player.ports.items() for verb in verbs(port)}
    for turn in range(_TURNS):
        # Half of the sequences begin with all that ``begin`` can put there.
        for kind, share in ((0, 4), (1, 4), (2, 2)) if player.begin is not Player.begin else ((0, 1),):
            _play(
                player, cloud, kind, examples=(examples if turn == 0 else _MORE) // share, length=length, seeded=f"{of} {turn}"
            )
        if asked == player.answered:
            return
    left = sorted(asked - player.answered)
    raise AssertionError(f"no sequence got anything from {left}: does {player.__name__} lack an operation?")


def _play(player: type[Player], cloud: Cloud, kind: int, *, examples: int, length: int, seeded: str) -> None:
    how: dict[str, Any] = {"max_examples": int(SEARCH)} if SEARCH else {"max_examples": max(1, examples), "derandomize": True}

    @settings(
        deadline=None,
        database=None,
        phases=[Phase.generate, Phase.shrink],
        report_multiple_bugs=False,
        suppress_health_check=list(HealthCheck),
        **how,
    )
    @given(sequences(player, length))
    def any_sequence(steps: list[Step]) -> None:
        player.make(cloud).play(kind, steps)

    (any_sequence if SEARCH else seed(seeded)(any_sequence))()
