"""How a machine joins and stays: pairing, credentials, heartbeats."""

from fastapi import APIRouter

from functions.node_api.deps import CallerDep, LeasesDep, NodesDep, PairingDep, WorkerDep
from gpupool.wire.joining import CredentialsRequest, CredentialsResponse, PairRequest, PairResponse
from gpupool.wire.units import HeartbeatRequest, HeartbeatResponse

router = APIRouter()


@router.post("/pair", status_code=201)
async def pair(request: PairRequest, pairing: PairingDep) -> PairResponse:
    return pairing.redeem(request)


@router.post("/credentials")
async def credentials(request: CredentialsRequest, node: CallerDep, nodes: NodesDep) -> CredentialsResponse:
    return nodes.credentials(node, request.capabilities)


@router.post("/heartbeat")
async def heartbeat(
    request: HeartbeatRequest, node: CallerDep, worker: WorkerDep, nodes: NodesDep, leases: LeasesDep
) -> HeartbeatResponse:
    """Leases first: what fails afterwards costs no running work."""
    answer = leases.heartbeat(worker, request)
    nodes.seen(node, request)
    return answer
