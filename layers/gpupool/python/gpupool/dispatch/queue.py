"""The port to the queues."""

from typing import Protocol

from gpupool.units.model import Pool
from gpupool.wire.joining import Doorbell
from gpupool.wire.units import Doorway
from gpupool.wire.vocabulary import CapabilityClass


class Queue(Protocol):
    """Doorbells, at least once and in no order.

    A receipt that is no longer valid is no error, because the message has moved on and the unit's row decides anyway.
    A doorway to a queue that is not ours is VALIDATION_FAILED and reaches no queue.
    """

    def queue_url(self, pool: Pool, capability: CapabilityClass) -> str:
        """Where units of that pool and class ring; RuntimeError when the deployment lacks the queue."""

    def ring(self, queue_url: str, bell: Doorbell, *, group: str) -> None:
        """Adds a message; ``group`` (the customer) keeps one customer's flood from delaying the others."""

    def hide(self, doorway: Doorway, *, seconds: int) -> bool:
        """Makes the message invisible for ``seconds`` from now, 0 to 43200; 0 shows it to others at once.

        False, and nothing changed, when the queue does not take the receipt: made up, or of a message that is gone. SQS may
        still take an earlier receipt of a message, so True proves that the bell was heard, not that it was heard last.
        """

    def silence(self, doorway: Doorway) -> None:
        """Deletes the message."""

    def waiting(self, queue_url: str) -> int:
        """Messages in the queue, hidden ones included, and dead letters that nobody has seen to yet; may lag by a minute."""
