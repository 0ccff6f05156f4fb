"""A platform that recovery looks after, and ways to break it by hand."""

import random
from typing import Any

from gpupool import bootstrap
from gpupool.events.model import SUBSCRIBABLE, Event
from gpupool.jobs.model import Job
from gpupool.recovery.model import Report
from gpupool.webhooks.model import Delivery, Endpoint
from tests.factories import CUSTOMER_ID
from tests.platform import Platform

MINUTE = 60


class Watch:
    """The platform, one run of recovery at a time, and a webhook that asks for everything."""

    def __init__(self, platform: Platform) -> None:
        self.platform = platform
        self.recovery = bootstrap.build_recovery(platform.ports)
        self.fan_out = bootstrap.build_fan_out(platform.ports)
        self._chance = random.Random(0)

    def look(self) -> dict[str, int]:
        """What a run finds; what it asked of the executions is handed over."""
        report = self.report()
        assert report.failed == 0
        return report.counts

    def report(self) -> Report:
        report = self.recovery.run()
        self.platform.wake()
        return report

    def settle(self) -> None:
        """Everything that AWS does by itself, the events' stream included."""
        self.platform.settle()
        for shelf in list(self.platform.ports.world.events.values()):
            for event in list(shelf.values()):
                self.fan_out.publish(event)

    def settle_watched(self) -> None:
        """As ``settle``, with a look after every single record and step; none of them may find anything."""
        platform = self.platform
        while True:
            steppable = [execution for execution in platform.executions.values() if execution.can_step]
            if platform.stream.rows:
                platform.deliver(self._chance.choice(platform.stream.rows))
            elif steppable:
                platform.step(self._chance.choice(steppable))
            else:
                break
            assert self.look() == {}
        self.settle()

    def wait(self, minutes: float) -> None:
        self.platform.tick(minutes * MINUTE)

    def endpoint(self, **changes: Any) -> Endpoint:
        """A webhook, made a minute before anything else happens."""
        wanted: dict[str, Any] = {"url": "https://receiver.example/hook", "events": SUBSCRIBABLE, "description": ""}
        service = bootstrap.build_webhooks(self.platform.ports)
        made = service.create(CUSTOMER_ID, **(wanted | changes), idempotency_key=None).endpoint
        self.wait(1)
        return made

    def deliveries(self, endpoint: Endpoint) -> dict[str, Delivery]:
        """What was delivered, by the event's id."""
        found = self.platform.ports.world.deliveries.get(endpoint.id, {})
        return {each.event_id: each for each in found.values()}

    def lose_records(self, row: str) -> None:
        """The stream gives a row's records up."""
        while self.platform.stream.pending(row):
            self.platform.stream.take(row)

    def lose_bells(self) -> None:
        """Every message of every queue is gone."""
        queue = self.platform.ports.queue
        for url in self.platform.ports.queue_urls.by_name.values():
            while (received := queue.receive(url)) is not None:
                queue.silence(received.doorway)

    def lose_event(self, job: Job, kind: str) -> Event:
        shelf = self.platform.ports.world.events[job.id]
        (key,) = (key for key, event in shelf.items() if event.type == kind)
        return shelf.pop(key)

    def is_watched(self, job: Job) -> bool:
        return job.id in self.platform.ports.jobs.watched(limit=1_000)
