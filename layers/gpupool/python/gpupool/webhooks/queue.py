"""The queue of attempts. A message is a hint: the delivery's row decides whether there is anything to do."""

from dataclasses import dataclass
from typing import Protocol

from gpupool.webhooks.model import Delivery

MAX_DELAY_SECONDS = 900


@dataclass(frozen=True, slots=True)
class AttemptRef:
    """One attempt: the ``attempts_made + 1``-th of a ``round``. A message for an attempt that was made is stale."""

    customer_id: str
    endpoint_id: str
    delivery_id: str
    round: int
    attempts_made: int


class DeliveryQueue(Protocol):
    """At least once and in no order."""

    def ring(self, ref: AttemptRef, *, delay_seconds: int = 0) -> None:
        """Adds a message that is seen after ``delay_seconds``, 0 to 900."""


def ref_of(delivery: Delivery) -> AttemptRef:
    """The delivery's next attempt."""
    return AttemptRef(delivery.customer_id, delivery.endpoint_id, delivery.id, delivery.round, delivery.attempts_made)
