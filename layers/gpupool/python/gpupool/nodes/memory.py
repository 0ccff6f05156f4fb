"""Nodes in memory, and an issuer of keys that open nothing."""

from dataclasses import replace
from datetime import datetime, timedelta

from gpupool.clock import Clock
from gpupool.errors import AlreadyExists, StaleWrite
from gpupool.nodes.issuer import SESSION_SECONDS, NodeCredentials
from gpupool.nodes.model import Node, PairingCode, Sighting
from gpupool.world import World


class MemoryNodeStore:
    """Keys its rows like the table does: ``pairing#<hash>`` and ``node#<id>``."""

    def __init__(self, world: World) -> None:
        self._world = world

    def add_code(self, code: PairingCode) -> None:
        with self._world.lock:
            if f"pairing#{code.code_hash}" in self._world.nodes:
                raise AlreadyExists
            self._world.nodes[f"pairing#{code.code_hash}"] = code

    def find_code(self, code_hash: str) -> PairingCode | None:
        return self._world.nodes.get(f"pairing#{code_hash}")

    def redeem(self, code: PairingCode, node: Node) -> None:
        with self._world.lock:
            kept = self.find_code(code.code_hash)
            if kept is None or kept.expires_at <= node.paired_at or f"node#{node.id}" in self._world.nodes:
                raise StaleWrite
            del self._world.nodes[f"pairing#{code.code_hash}"]
            self._world.nodes[f"node#{node.id}"] = node

    def get(self, node_id: str) -> Node | None:
        return self._world.nodes.get(f"node#{node_id}")

    def seen(self, node_id: str, sighting: Sighting) -> None:
        with self._world.lock:
            node = self.get(node_id)
            if node is None:
                return
            self._world.nodes[f"node#{node_id}"] = replace(
                node,
                last_seen_at=sighting.at,
                capabilities=sighting.capabilities or node.capabilities,
                draining=node.draining if sighting.draining is None else sighting.draining,
                last_poll_ok_at=sighting.last_poll_ok_at or node.last_poll_ok_at,
            )

    def revoke(self, node_id: str, *, at: datetime) -> None:
        with self._world.lock:
            node = self.get(node_id)
            if node is not None:
                self._world.nodes[f"node#{node_id}"] = replace(node, revoked_at=node.revoked_at or at)


class MemoryIssuer:
    """``issued`` lists whom keys were made for, and for which queues."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self.issued: list[tuple[str, tuple[str, ...]]] = []

    def issue(self, node_id: str, queue_urls: tuple[str, ...]) -> NodeCredentials:
        self.issued.append((node_id, queue_urls))
        return NodeCredentials(
            access_key_id=f"ASIAMEMORY{len(self.issued):06d}",
            secret_access_key="secret",  # noqa: S106  opens nothing
            session_token="token",  # noqa: S106
            expires_at=self._clock.now() + timedelta(seconds=SESSION_SECONDS),
        )
