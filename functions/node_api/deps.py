"""Who calls, and what of the core answers. Async, because FastAPI would run plain functions in a thread pool."""

from typing import Annotated

from fastapi import Depends, Header

from gpupool.bootstrap import node_core
from gpupool.errors import ValidationFailed
from gpupool.nodes.model import Node
from gpupool.nodes.service import Nodes, Pairing
from gpupool.units.model import Worker
from gpupool.units.service import Leases
from gpupool.wire import PROTOCOL, PROTOCOL_HEADER
from gpupool.wire.errors import NodeErrorCode


async def pairing() -> Pairing:
    return node_core().pairing


async def nodes() -> Nodes:
    return node_core().nodes


async def leases() -> Leases:
    return node_core().leases


PairingDep = Annotated[Pairing, Depends(pairing)]
NodesDep = Annotated[Nodes, Depends(nodes)]
LeasesDep = Annotated[Leases, Depends(leases)]


async def speaks_our_protocol(spoken: Annotated[str | None, Header(alias=PROTOCOL_HEADER)] = None) -> None:
    """PROTOCOL_UNSUPPORTED unless the agent speaks our version; a missing header means version 1."""
    if (spoken or "1") != str(PROTOCOL):
        raise ValidationFailed(
            f"This control plane speaks protocol {PROTOCOL}; update the agent.",
            code=NodeErrorCode.PROTOCOL_UNSUPPORTED,
            field=PROTOCOL_HEADER,
        )


async def caller(nodes: NodesDep, authorization: Annotated[str | None, Header()] = None) -> Node:
    """The node whose device key came with the request."""
    return nodes.authenticate(authorization)


CallerDep = Annotated[Node, Depends(caller)]


async def worker(node: CallerDep, nodes: NodesDep) -> Worker:
    """The calling node as the units see it."""
    return nodes.worker(node)


WorkerDep = Annotated[Worker, Depends(worker)]
