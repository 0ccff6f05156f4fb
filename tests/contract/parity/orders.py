"""Whether some order explains what threads were told: made one after the other on the twin in memory, the same operations have
to get the same answers and come to the same end.

The order may not contradict time: what ended before another began comes before it (linearisability).
"""

import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, fields
from functools import partial
from itertools import count
from typing import Any

from gpupool.clock import FixedClock
from gpupool.world import World
from tests.contract.both import MemoryStores, Stores
from tests.contract.parity.alike import plain, told

# Of a row's fields those that say what became of it.
_TELLING = (
    *("status", "version", "attempt", "open_needs", "started_at", "credits_spent", "live_jobs", "units_today"),
    *("available", "held", "spent", "remaining", "resource_id"),
)

# What a thread has read, by name: later operations decide on it.
Hand = dict[str, Any]
Act = Callable[[Any, Hand], Any]


@dataclass(frozen=True)
class Operation:
    """``act`` gets the stores and the hand of its thread. ``besides`` is what the port allows an adapter to do instead, on the
    twin in memory, which never does."""

    name: str
    act: Act
    besides: tuple[Act, ...] = ()

    def __repr__(self) -> str:
        return self.name


@dataclass(frozen=True)
class Made:
    """One operation as its thread saw it. The moments are ticks of one clock for all threads."""

    operation: Operation
    answer: Any
    began: int
    ended: int

    @property
    def looked(self) -> bool:
        """Whether it only read."""
        return self.operation.name.startswith("look")

    def __repr__(self) -> str:
        return f"{self.operation.name} [{self.began}-{self.ended}] -> {_in_short(self.answer)}"


History = tuple[Made, ...]


def run(plans: Sequence[Sequence[Operation]], stores: Callable[[], Stores]) -> list[History]:
    """Runs every plan in a thread of its own, over ``stores`` of its own, all at once."""
    ticks, together = count(), threading.Barrier(len(plans))

    def work(plan: Sequence[Operation]) -> History:
        mine, hand = stores(), Hand()
        made = []
        together.wait(30)
        for operation in plan:
            began = next(ticks)
            answer = told(lambda operation=operation: operation.act(mine, hand))
            made.append(Made(operation, plain(answer), began, next(ticks)))
        return tuple(made)

    with ThreadPoolExecutor(len(plans)) as threads:
        return list(threads.map(work, plans))


def _in_short(answer: Any) -> Any:
    if isinstance(answer, list) and len(answer) == 2 and isinstance(answer[1], dict):
        return f"{answer[0]}({', '.join(f'{name}: {answer[1][name]}' for name in _TELLING if name in answer[1])})"
    return answer


@dataclass
class _State:
    world: World
    hands: list[Hand]
    done: tuple[int, ...]
    order: tuple[str, ...] = field(default=(), compare=False)


def explained(
    histories: Sequence[History],
    *,
    world: World,
    clock: FixedClock,
    end: Any,
    read: Callable[[Stores], Any],
    besides: bool = False,
) -> Any:
    """An order that leads from ``world`` to the answers and to ``end``, as names; None when there is none.

    ``besides``: operations may also have done what a port allows an adapter to do instead.
    """
    waiting = [_State(world, [{} for _ in histories], (0,) * len(histories))]
    seen: set[tuple[Any, ...]] = set()
    while waiting:
        state = waiting.pop()
        if all(at == len(history) for at, history in zip(state.done, histories, strict=True)):
            if plain(read(MemoryStores(state.world, clock))) == end:
                return state.order
            continue
        for thread in _possible(histories, state.done):
            made = histories[thread][state.done[thread]]
            acts = (made.operation.act, *(made.operation.besides if besides else ()))
            for following in _made(made, acts, thread, state, clock):
                # The hands follow from the answers, which are given.
                mark = following.done, repr(plain(_rows(following.world)))
                if mark not in seen:
                    seen.add(mark)
                    waiting.append(following)
    return None


def _possible(histories: Sequence[History], done: tuple[int, ...]) -> list[int]:
    """The threads whose next operation did not begin after another one that is still to come had ended."""
    following = {at: history[done[at]] for at, history in enumerate(histories) if done[at] < len(history)}
    first_end = min(made.ended for made in following.values())
    return [at for at, made in following.items() if made.began <= first_end]


def _made(made: Made, acts: Sequence[Act], thread: int, state: _State, clock: FixedClock) -> Iterator[_State]:
    """The states after the operation; none when it would have got another answer here."""
    for act in acts:
        world, hands = _copied(state.world), [dict(hand) for hand in state.hands]
        answer = told(partial(act, MemoryStores(world, clock), hands[thread]))
        if plain(answer) == made.answer:
            done = tuple(at + (number == thread) for number, at in enumerate(state.done))
            yield _State(world, hands, done, (*state.order, made.operation.name))


def _rows(world: World) -> dict[str, Any]:
    return {each.name: getattr(world, each.name) for each in fields(World) if each.name != "lock"}


def _copied(world: World) -> World:
    """Rows are immutable; the dictionaries that hold them are not."""
    rows = _rows(world)
    return World(**{name: _copy(table) for name, table in rows.items()})


def _copy(table: Any) -> Any:
    if isinstance(table, set):
        return set(table)
    return {key: _copy(row) for key, row in table.items()} if isinstance(table, dict) else table
