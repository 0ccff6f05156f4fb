"""The whole deployment in this process. Nothing happens by itself: a test lets it settle, or lets time pass."""

import itertools
import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from types import SimpleNamespace
from typing import Any

import pytest
from moto import mock_aws

from gpupool import aws, bootstrap
from gpupool.clock import FixedClock
from gpupool.ports import AwsPorts
from gpupool.twins import PlainHasher
from tests.cloud.calls import Wire
from tests.cloud.functions import Functions, Result
from tests.cloud.receivers import Receivers
from tests.cloud.resources import Deployment
from tests.cloud.sources import Delivery, QueueSource, Sources, StreamSource
from tests.cloud.states import Execution, States
from tests.cloud.template import Reaction, Schedule, Template, deployed_template
from tests.support.deployment import forget
from tests.support.haste import make_haste

_STATUS_CHANGE = "Step Functions Execution Status Change"
# A message is seen again strictly after its time.
_JUST_AFTER = 0.001


class Cloud:
    """What AWS does, in a fixed order: streams, then executions, then queues, then what rules call."""

    def __init__(self, deployment: Deployment, wire: Wire, clock: FixedClock) -> None:
        template = deployment.template
        self.deployment = deployment
        self.clock = clock
        self.wire = wire
        self.functions = Functions(wire)
        self.receivers = Receivers(clock)
        self.states = States(template.machines, rooms=template.rooms, functions=self.functions, clock=clock)
        self.states.ended = self._react
        self.sources = self._sources()
        self.schedules = {each: clock.now().timestamp() + each.every_seconds for each in template.schedules}
        # What rules have asked for: reaction, event, tries so far, and when.
        self.reactions: list[tuple[Reaction, Any, int, float]] = []
        # Asked before a delivery; while it says yes, the delivery stays where it is and others overtake it.
        self.holds: Callable[[Delivery | Execution], bool] = lambda _moving: False
        wire.answers["sfn"] = self.states.answer

    @property
    def ports(self) -> AwsPorts:
        """The real adapters, for whoever wants to look."""
        return bootstrap.ports()

    def settle(self) -> None:
        """Delivers and steps until nothing moves any more at this moment."""
        for _ in range(10_000):
            if not self.step():
                return
        raise AssertionError("the cloud never comes to rest")

    def step(self) -> bool:
        """One delivery, step or call; False when nothing is to be done now."""
        chosen = next((each for each in self._moving() if not self.holds(each)), None)
        if isinstance(chosen, Delivery):
            chosen.source.deliver(chosen, self.functions)
        elif isinstance(chosen, Execution):
            self.states.step(chosen)
        return chosen is not None or self._call_due()

    def next_at(self) -> float:
        """When something happens next by itself, in seconds of the epoch; infinity when nothing does."""
        times = [queue.next_at() for queue in self.sources.queues]
        times += [self.states.next_at(), *self.schedules.values(), *(at for *_, at in self.reactions)]
        return min((time for time in times if time is not None), default=float("inf"))

    def pass_time(self, seconds: float) -> None:
        """Lets time pass; whatever becomes due on the way happens at its time."""
        until = self._now + seconds
        self.settle()
        while (following := self.next_at()) <= until:
            # What is due and yet did not move is being held.
            self._to(following + _JUST_AFTER if following > self._now else min(self._now + 1, until))
            self.settle()
            if self._now >= until:
                break
        self._to(until)
        self.settle()

    @property
    def _now(self) -> float:
        return self.clock.now().timestamp()

    def _to(self, moment: float) -> None:
        if moment > self._now:
            self.clock.advance(moment - self._now)

    def _moving(self) -> list[Delivery | Execution]:
        streams = [delivery for source in self.sources.streams for delivery in source.ready()]
        queues = [delivery for source in self.sources.queues for delivery in source.ready()]
        return [*streams, *self.states.ready(), *queues]

    def _sources(self) -> Sources:
        found = Sources()
        urls = self.deployment.queue_urls
        for mapping in self.deployment.template.mappings:
            if mapping.source in urls:
                found.queues.append(QueueSource(mapping, sqs=self.deployment.sqs, url=urls[mapping.source]))
            else:
                found.streams.append(StreamSource(mapping))
        return found

    def _call_due(self) -> bool:
        """What a rule asks for: a reaction to an execution that ended badly, else the schedule that is due."""
        for at, (reaction, event, tries, when) in enumerate(self.reactions):
            if when <= self._now:
                del self.reactions[at]
                result = self.functions.invoke(reaction.room, event, trigger="rule: execution ended")
                self._again(reaction, event, tries, result)
                return True
        return self._call_scheduled()

    def _call_scheduled(self) -> bool:
        for schedule, when in self.schedules.items():
            if when <= self._now:
                self.schedules[schedule] = self._now + schedule.every_seconds
                self.functions.invoke(schedule.room, _scheduled(schedule), trigger="schedule")
                return True
        return False

    def _react(self, execution: Execution) -> None:
        detail = {"name": execution.name, "status": execution.status, "stateMachineArn": execution.machine}
        event = {"source": "aws.states", "detail-type": _STATUS_CHANGE, "detail": detail}
        for reaction in self.deployment.template.reactions:
            if reaction.pattern.matches(event):
                self.reactions.append((reaction, _transformed(reaction, detail), 0, self._now))

    def _again(self, reaction: Reaction, event: Any, tries: int, result: Result) -> None:
        """An asynchronous invocation that failed is tried twice more, a minute and two minutes later."""
        if result.failed and tries < 2:
            self.reactions.append((reaction, event, tries + 1, self._now + 60 * (tries + 1)))


@contextmanager
def running(monkeypatch: pytest.MonkeyPatch, *, template: Template | None = None, **settings: str) -> Iterator[Cloud]:
    """An empty deployment of the laptop's template; ``settings`` (upper-case) replace variables of its functions."""
    clock = FixedClock()
    wire = Wire()
    with mock_aws():
        _let_time_be(clock, monkeypatch)
        make_haste(monkeypatch)
        deployment = Deployment(template or deployed_template())
        for name, value in (deployment.environment | settings).items():
            monkeypatch.setenv(name, value)
        forget()
        wire.install(aws._session().events)
        _connect()
        cloud = Cloud(deployment, wire, clock)
        _equip(bootstrap.ports(), cloud)
        yield cloud
        forget()


def _let_time_be(clock: FixedClock, monkeypatch: pytest.MonkeyPatch) -> None:
    """moto's queues live by the same clock as the handlers, and no client sleeps before it tries again."""
    monkeypatch.setattr("moto.core.utils.utcnow", lambda: clock.now().astimezone(UTC).replace(tzinfo=None))
    monkeypatch.setattr("botocore.endpoint.time", SimpleNamespace(sleep=lambda _seconds: None))


def _connect() -> None:
    """Makes the clients at once: they take longer than everything that is done with them."""
    for client in (aws.dynamodb, aws.s3, aws.sqs, aws.stepfunctions, aws.sts):
        client()


def _equip(ports: AwsPorts, cloud: Cloud) -> None:
    """The real adapters, except for time, chance, slow hashes and receivers outside."""
    count = itertools.count(1)
    ports.clock = cloud.clock
    ports.jitter = lambda: 0.5
    ports.random_hex = lambda size: f"{next(count):0{2 * size}x}"
    ports.__dict__["passwords"] = PlainHasher()
    ports.__dict__["sender"] = cloud.receivers


def _scheduled(schedule: Schedule) -> dict[str, Any]:
    now = f"{datetime(2026, 1, 1):%Y-%m-%dT%H:%M:%SZ}"
    return {"version": "0", "source": "aws.events", "detail-type": "Scheduled Event", "time": now, "detail": {}}


def _transformed(reaction: Reaction, detail: dict[str, Any]) -> Any:
    text = reaction.event
    for name, path in reaction.paths.items():
        text = text.replace(f"<{name}>", json.dumps(detail[path.removeprefix("$.detail.")]))
    return json.loads(text)
