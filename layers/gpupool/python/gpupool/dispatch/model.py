"""Our queues by name, and the check that a doorway leads to one of them."""

from collections.abc import Container, Mapping
from dataclasses import dataclass

from gpupool.errors import ValidationFailed
from gpupool.units.model import Pool
from gpupool.wire.units import Doorway
from gpupool.wire.vocabulary import CapabilityClass


@dataclass(frozen=True, slots=True)
class QueueUrls:
    """Queue URLs by ``<pool>-<class>``, as the setting QUEUE_URLS brings them."""

    by_name: Mapping[str, str]

    def find(self, pool: Pool, capability: CapabilityClass) -> str | None:
        """The URL of a queue, None where this deployment has no such queue."""
        return self.by_name.get(f"{pool}-{capability}")

    def require(self, pool: Pool, capability: CapabilityClass) -> str:
        """The URL of a queue that has to be there; its absence is a deployment fault."""
        url = self.find(pool, capability)
        if url is None:
            raise RuntimeError(f"QUEUE_URLS names no queue {pool}-{capability}")
        return url

    def __contains__(self, queue_url: object) -> bool:
        return queue_url in self.by_name.values()


def check_doorway(doorway: Doorway, *, served: Container[str]) -> None:
    """VALIDATION_FAILED unless the doorway is one of ``served``.

    A node names the queue in its call. Unchecked, it could make the control plane call a foreign address with its own
    credentials, or silence the bells of machines that it has nothing to do with.
    """
    if doorway.queue_url not in served:
        raise ValidationFailed(
            "The doorway's queue is not one that this node may serve; send back the queue URL that the message came from.",
            field="/doorway/queue_url",
        )
