"""Pairing a machine with the pool, and knowing it again."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta

from gpupool.clock import Clock
from gpupool.dispatch.model import QueueUrls
from gpupool.errors import AuthRequired, Forbidden, NotFound, StaleWrite, ValidationFailed
from gpupool.ids import new_id
from gpupool.nodes import keys
from gpupool.nodes.issuer import CredentialIssuer, no_credentials
from gpupool.nodes.model import Node, PairingCode, Sighting, Tier
from gpupool.nodes.queues import queues_for
from gpupool.nodes.store import NodeStore
from gpupool.units.model import Worker
from gpupool.wire.capabilities import Capabilities
from gpupool.wire.errors import NodeErrorCode
from gpupool.wire.joining import CredentialsResponse, PairRequest, PairResponse
from gpupool.wire.units import HeartbeatRequest

# How long a sighting stands before another is written. A machine that works proves with its leases that it lives.
_SEEN_LATELY, _WORKING_LATELY = timedelta(minutes=4), timedelta(minutes=10)


class Pairing:
    """One code, one machine, once. ``random_hex(n)`` yields 2n random hex digits from a source fit for secrets."""

    def __init__(
        self, *, store: NodeStore, random_hex: Callable[[int], str], clock: Clock, new_id: Callable[[], str] = new_id
    ) -> None:
        self._store = store
        self._random_hex = random_hex
        self._new_id = new_id
        self._clock = clock

    def create_code(self, tier: Tier) -> str:
        """A code for one machine, valid for 15 minutes. It is returned here and nowhere kept."""
        code = keys.new_code(self._random_hex)
        self._store.add_code(PairingCode(keys.code_hash(code), tier, self._clock.now()))
        return code

    def redeem(self, request: PairRequest) -> PairResponse:
        """Adds the machine and uses the code up. PAIRING_CODE_INVALID when it is unknown, used or expired: never which."""
        now = self._clock.now()
        code = self._store.find_code(keys.code_hash(request.code))
        if code is None or code.expires_at <= now:
            raise _code_invalid()
        node_id = self._new_id()
        device_key = keys.new_device_key(node_id, self._random_hex)
        node = Node(
            id=node_id,
            name=request.name,
            tier=code.tier,
            key_hash=keys.key_hash(device_key),
            capabilities=request.capabilities,
            paired_at=now,
            last_seen_at=now,
        )
        try:
            self._store.redeem(code, node)
        except StaleWrite as error:
            raise _code_invalid() from error
        return PairResponse(node_id=node_id, device_key=device_key, tier=code.tier)


@dataclass(frozen=True, slots=True)
class NodeTerms:
    """What every node is told: where its queues are, how often to call, how long a lease lasts."""

    region: str
    heartbeat_seconds: int
    lease_seconds: int


class Nodes:
    """The machines that have joined."""

    def __init__(
        self, *, store: NodeStore, issuer: CredentialIssuer, queues: QueueUrls, terms: NodeTerms, clock: Clock
    ) -> None:
        self._store = store
        self._issuer = issuer
        self._queues = queues
        self._terms = terms
        self._clock = clock

    def authenticate(self, authorization: str | None) -> Node:
        """The node behind an ``Authorization: Bearer nk_...`` header, with one read.

        NODE_AUTH_REQUIRED unless the key is right; NODE_REVOKED only then, so that nobody learns which nodes there were.
        """
        scheme, _, device_key = (authorization or "").partition(" ")
        node_id = keys.node_id_in(device_key) if scheme.lower() == "bearer" else None
        node = self._store.get(node_id) if node_id else None
        if node is None or not keys.key_matches(device_key, expected_hash=node.key_hash):
            raise AuthRequired(
                "Send the device key from pairing as 'Authorization: Bearer nk_...', or pair this machine again.",
                code=NodeErrorCode.NODE_AUTH_REQUIRED,
            )
        if node.revoked_at is not None:
            raise Forbidden(
                "This machine was removed from the pool; ask its operator for a new pairing code.",
                code=NodeErrorCode.NODE_REVOKED,
            )
        return node

    def credentials(self, node: Node, capabilities: Capabilities) -> CredentialsResponse:
        """Keys for the queues that the machine can serve today; for none, empty keys, because there is nothing to open."""
        now = self._clock.now()
        self._store.seen(node.id, Sighting(now, capabilities=capabilities))
        queues = queues_for(node.tier, capabilities, urls=self._queues)
        granted = self._issuer.issue(node.id, tuple(queue.url for queue in queues)) if queues else no_credentials(now)
        return CredentialsResponse(
            access_key_id=granted.access_key_id,
            secret_access_key=granted.secret_access_key,
            session_token=granted.session_token,
            expires_at=granted.expires_at,
            region=self._terms.region,
            queues=list(queues),
            heartbeat_seconds=self._terms.heartbeat_seconds,
            lease_seconds=self._terms.lease_seconds,
        )

    def seen(self, node: Node, heartbeat: HeartbeatRequest) -> None:
        """Notes that the machine lives, whether it takes work, and when it last reached its queues; every few minutes, and
        of one that works more rarely, because a write costs as much as the call."""
        now = self._clock.now()
        lately = _WORKING_LATELY if heartbeat.units else _SEEN_LATELY
        nothing_new = node.draining is heartbeat.draining and (node.last_poll_ok_at or heartbeat.last_poll_ok_at is None)
        if nothing_new and now - node.last_seen_at < lately:
            return
        sighting = Sighting(now, draining=heartbeat.draining, last_poll_ok_at=heartbeat.last_poll_ok_at)
        self._store.seen(node.id, sighting)

    def worker(self, node: Node) -> Worker:
        """The node as the units see it: its public name, what it has, and the queues it may be rung by."""
        queues = queues_for(node.tier, node.capabilities, urls=self._queues)
        return Worker(
            node_id=node.id,
            node_name=node.public_name,
            vram_mb=node.capabilities.vram_mb,
            disk_free_mb=node.capabilities.disk_free_mb,
            queue_urls=frozenset(queue.url for queue in queues),
        )

    def revoke(self, node_id: str) -> None:
        """Removes a machine from the pool. Its leases lapse, and its keys can still receive, but not claim, for an hour."""
        if self._store.get(node_id) is None:
            raise NotFound("There is no node with this id; check the id.")
        self._store.revoke(node_id, at=self._clock.now())


def _code_invalid() -> ValidationFailed:
    return ValidationFailed(
        "The pairing code is wrong, used or older than 15 minutes; ask the operator for a new one.",
        code=NodeErrorCode.PAIRING_CODE_INVALID,
        field="/code",
    )
