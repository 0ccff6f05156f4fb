"""How a machine joins and stays: pairing, credentials, heartbeats."""

from fastapi import APIRouter

from functions.node_api.deps import CallerDep, CoreDep
from gpupool.wire.joining import CredentialsRequest, CredentialsResponse, PairRequest, PairResponse
from gpupool.wire.units import HeartbeatRequest, HeartbeatResponse

router = APIRouter()


@router.post("/pair", status_code=201)
async def pair(request: PairRequest, core: CoreDep) -> PairResponse:
    return core.pairing.redeem(request)


@router.post("/credentials")
async def credentials(request: CredentialsRequest, caller: CallerDep) -> CredentialsResponse:
    return caller.core.nodes.credentials(caller.node, request.capabilities)


@router.post("/heartbeat")
async def heartbeat(request: HeartbeatRequest, caller: CallerDep) -> HeartbeatResponse:
    """Leases first: what fails afterwards costs no running work."""
    answer = caller.core.leases.heartbeat(caller.worker, request)
    caller.core.nodes.seen(caller.node, request)
    return answer
