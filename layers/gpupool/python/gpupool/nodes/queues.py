"""Which queues a machine may receive from."""

from gpupool.dispatch.model import QueueUrls
from gpupool.nodes.model import POOLS_OF, Tier
from gpupool.wire.capabilities import Capabilities
from gpupool.wire.joining import QueueGrant
from gpupool.wire.vocabulary import classes_served_by

NO_SANDBOX = "none"


def queues_for(tier: Tier, capabilities: Capabilities, *, urls: QueueUrls) -> tuple[QueueGrant, ...]:
    """The queues a node may serve, the ones that fewest others can serve first.

    A machine without a sandbox gets none: every queue carries other people's code.
    """
    if capabilities.sandbox == NO_SANDBOX:
        return ()
    classes = tuple(reversed(classes_served_by(capabilities.vram_mb)))
    found = ((pool, capability, urls.find(pool, capability)) for pool in POOLS_OF[tier] for capability in classes)
    return tuple(QueueGrant(capability=capability, pool=pool, url=url) for pool, capability, url in found if url)
