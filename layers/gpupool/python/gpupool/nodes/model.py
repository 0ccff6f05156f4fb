"""A machine, and the one-time code that lets it join."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

from gpupool.units.model import Pool
from gpupool.wire.capabilities import Capabilities


class Tier(StrEnum):
    """How far a machine is trusted; fixed by the code it paired with."""

    CONTROLLED = "controlled"
    COMMUNITY = "community"


# In the order in which a machine should look for work.
POOLS_OF: dict[Tier, tuple[Pool, ...]] = {
    Tier.CONTROLLED: (Pool.CONTROLLED, Pool.PUBLIC),
    Tier.COMMUNITY: (Pool.PUBLIC,),
}

CODE_LIFETIME = timedelta(minutes=15)


@dataclass(frozen=True, slots=True)
class PairingCode:
    """The right of one machine to join at ``tier``. Only the code's SHA-256 is kept."""

    code_hash: str
    tier: Tier
    created_at: datetime

    @property
    def expires_at(self) -> datetime:
        """A whole second, as the table keeps it: whoever reads and whoever redeems must mean the same moment."""
        return (self.created_at + CODE_LIFETIME).replace(microsecond=0)


@dataclass(frozen=True, slots=True)
class Node:
    """One machine. ``name`` is its owner's and stays inside; customers see ``public_name``.

    Rows are never deleted: a removed machine has ``revoked_at``, so that its key keeps answering NODE_REVOKED.
    """

    id: str
    name: str
    tier: Tier
    key_hash: str
    capabilities: Capabilities
    paired_at: datetime
    last_seen_at: datetime
    last_poll_ok_at: datetime | None = None
    draining: bool = False
    revoked_at: datetime | None = None

    @property
    def public_name(self) -> str:
        """A short name without owner data, from the random end of the id; two machines may share one."""
        return f"node-{self.id[-4:]}"


@dataclass(frozen=True, slots=True)
class Sighting:
    """What a call of a node tells about it; None leaves the row as it was."""

    at: datetime
    capabilities: Capabilities | None = None
    draining: bool | None = None
    last_poll_ok_at: datetime | None = None
