"""How a machine joins: pairing with a one-time code, then short-lived credentials for its queues."""

from datetime import datetime

from pydantic import Field

from gpupool.wire.base import Message
from gpupool.wire.capabilities import Capabilities
from gpupool.wire.vocabulary import CapabilityClass


class PairRequest(Message):
    """``POST /api/v1/node/pair``, unauthenticated: the code is the proof."""

    code: str = Field(min_length=8, max_length=64)
    name: str = Field(min_length=1, max_length=60, description="what the owner calls the machine")
    capabilities: Capabilities


class PairResponse(Message):
    """The device key is shown here once; only its hash is kept."""

    node_id: str
    device_key: str
    tier: str


class CredentialsRequest(Message):
    """``POST /api/v1/node/credentials``: also tells the control plane what the machine can do today."""

    capabilities: Capabilities


class QueueGrant(Message):
    """One queue that the node may receive from."""

    capability: CapabilityClass
    pool: str
    url: str


class CredentialsResponse(Message):
    """Keys that may receive from ``queues`` and do nothing else, until ``expires_at``."""

    access_key_id: str
    secret_access_key: str
    session_token: str
    expires_at: datetime
    region: str
    queues: list[QueueGrant]
    heartbeat_seconds: int
    lease_seconds: int


class Doorbell(Message):
    """Body of a queue message: a hint that a unit waits. The unit's row alone decides."""

    v: int = 1
    job_id: str
    unit_id: str
    attempt: int = Field(description="attempts made when the bell was rung")
