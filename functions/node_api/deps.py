"""Who calls. Async, because FastAPI would run plain functions in a thread pool."""

from dataclasses import dataclass
from typing import Annotated

from fastapi import Depends, Header, Request

from gpupool.bootstrap import NodeCore
from gpupool.errors import ValidationFailed
from gpupool.nodes.model import Node
from gpupool.units.model import Worker
from gpupool.wire import PROTOCOL, PROTOCOL_HEADER
from gpupool.wire.errors import NodeErrorCode


@dataclass(frozen=True, slots=True)
class Caller:
    """A proven node and the core that serves it."""

    core: NodeCore
    node: Node

    @property
    def worker(self) -> Worker:
        """The node as the units see it."""
        return self.core.nodes.worker(self.node)


async def speaks_our_protocol(request: Request) -> None:
    """PROTOCOL_UNSUPPORTED unless the agent speaks our version; a missing header means version 1."""
    if request.headers.get(PROTOCOL_HEADER, "1") != str(PROTOCOL):
        raise ValidationFailed(
            f"This control plane speaks protocol {PROTOCOL}; update the agent.",
            code=NodeErrorCode.PROTOCOL_UNSUPPORTED,
            field=PROTOCOL_HEADER,
        )


async def _core(request: Request) -> NodeCore:
    core: NodeCore = request.app.state.core()
    return core


CoreDep = Annotated[NodeCore, Depends(_core)]


async def _caller(core: CoreDep, authorization: Annotated[str | None, Header()] = None) -> Caller:
    return Caller(core, core.nodes.authenticate(authorization))


CallerDep = Annotated[Caller, Depends(_caller)]
