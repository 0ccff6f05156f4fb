"""Where nodes and pairing codes are kept."""

from datetime import datetime
from typing import Protocol

from gpupool.nodes.model import Node, PairingCode, Sighting


class NodeStore(Protocol):
    def add_code(self, code: PairingCode) -> None:
        """AlreadyExists when the code is there already."""

    def find_code(self, code_hash: str) -> PairingCode | None:
        """The code if it was not used; possibly an expired one, since time-to-live removes rows up to days late."""

    def redeem(self, code: PairingCode, node: Node) -> None:
        """Uses the code up and adds the node, both or neither. StaleWrite when the code was used, or expired before
        ``node.paired_at``."""

    def get(self, node_id: str) -> Node | None:
        """The node, revoked ones included."""

    def seen(self, node_id: str, sighting: Sighting) -> None:
        """Notes what a call told; nothing happens when there is no such node."""

    def revoke(self, node_id: str, *, at: datetime) -> None:
        """Shuts the node out, for good; the first time stays. Nothing happens when there is no such node."""
