"""Rotating a secret once, also when a repeat meets the request that it repeats."""

from dataclasses import dataclass, field

import pytest

from gpupool import bootstrap
from gpupool.clock import FixedClock
from gpupool.errors import NotFound
from gpupool.events.model import EventType
from gpupool.twins import MemoryPorts
from gpupool.webhooks.memory import MemoryWebhookStore
from gpupool.webhooks.model import Endpoint
from gpupool.webhooks.service import Made, Webhooks
from gpupool.world import World

KEY = "a-key-of-mine"


class Meeting(MemoryWebhookStore):
    """Lets another request through between the read and the write of the first one."""

    def __init__(self, world: World) -> None:
        super().__init__(world)
        self.meanwhile = lambda: None

    def replace_endpoint(self, before: Endpoint, after: Endpoint) -> Endpoint:
        other, self.meanwhile = self.meanwhile, lambda: None
        other()
        return super().replace_endpoint(before, after)

    def enqueue(self, delivery: object) -> None:
        other, self.meanwhile = self.meanwhile, lambda: None
        other()
        super().enqueue(delivery)  # type: ignore[arg-type]


@dataclass
class House:
    clock: FixedClock = field(default_factory=FixedClock)

    def __post_init__(self) -> None:
        self.ports = MemoryPorts(clock=self.clock)
        self.store = self.ports.webhooks = Meeting(self.ports.world)
        self.service: Webhooks = bootstrap.build_webhooks(self.ports)
        wanted = frozenset({EventType.JOB_COMPLETED})
        made = self.service.create("ada", url="https://a.example/", events=wanted, description="", idempotency_key=None)
        self.endpoint = made.endpoint
        self.clock.advance(60)

    def rotate(self, key: str | None) -> Made:
        made = self.service.rotate("ada", self.endpoint.id, idempotency_key=key)
        self.clock.advance(1)
        return made


def test_a_repeat_that_meets_its_request_rotates_once() -> None:
    house = House()
    others: list[Made] = []
    house.store.meanwhile = lambda: others.append(house.rotate(KEY))

    mine = house.rotate(KEY)

    (other,) = others
    assert mine.endpoint == other.endpoint
    assert mine.endpoint.previous_secret == house.endpoint.secret
    assert (other.replayed, mine.replayed) == (False, True)


def test_two_rotations_that_meet_both_happen() -> None:
    house = House()
    others: list[Made] = []
    house.store.meanwhile = lambda: others.append(house.rotate(None))

    mine = house.rotate(None)

    (other,) = others
    assert mine.endpoint.previous_secret == other.endpoint.secret
    assert len({house.endpoint.secret, other.endpoint.secret, mine.endpoint.secret}) == 3


def test_a_test_of_an_endpoint_that_is_deleted_meanwhile_is_not_accepted() -> None:
    house = House()
    house.store.meanwhile = lambda: house.service.delete("ada", house.endpoint.id)
    with pytest.raises(NotFound) as refused:
        house.service.test("ada", house.endpoint.id, idempotency_key=None)
    assert refused.value.code == "WEBHOOK_NOT_FOUND"
