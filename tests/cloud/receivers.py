"""Customers' webhook receivers, behind the port that sends to them."""

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime

from gpupool.clock import Clock
from gpupool.webhooks.sender import Outcome


@dataclass(frozen=True)
class Arrival:
    """One request that came in, and what it was answered with."""

    at: datetime
    url: str
    message_id: str
    body: str
    status: int


@dataclass
class Receivers:
    """``answer`` decides by URL and time what is answered."""

    clock: Clock
    answer: Callable[[str, datetime], int] = lambda _url, _at: 200
    arrivals: list[Arrival] = field(default_factory=list)

    def send(self, url: str, headers: dict[str, str], body: str) -> Outcome:
        now = self.clock.now()
        status = self.answer(url, now)
        self.arrivals.append(Arrival(now, url, headers["webhook-id"], body, status))
        return Outcome(5, status_code=status)
