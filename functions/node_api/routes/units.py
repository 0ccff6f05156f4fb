"""What a node does with one unit: claim it or leave it, fetch its inputs, upload, report."""

from typing import Annotated

from fastapi import APIRouter, Path

from functions.node_api.deps import CallerDep
from gpupool.wire.units import (
    ClaimRequest,
    CompleteRequest,
    FailRequest,
    InputsRequest,
    InputsResponse,
    OutputsRequest,
    OutputsResponse,
    ReportResponse,
    UnitGrant,
)

router = APIRouter(prefix="/units/{unit_id}")

UnitId = Annotated[str, Path(pattern=r"^[A-Za-z0-9-]{1,64}\.[0-9]{5}$")]


@router.post("/claim")
async def claim(unit_id: UnitId, request: ClaimRequest, caller: CallerDep) -> UnitGrant:
    return caller.core.leases.claim(caller.worker, unit_id, request.doorway, pages=request.pages)


@router.post("/decline", status_code=204)
async def decline(request: ClaimRequest, caller: CallerDep) -> None:
    """The doorway alone names the bell; the unit's id stands in the path only for who reads the access log."""
    caller.core.leases.decline(caller.worker, request.doorway)


@router.post("/inputs")
async def inputs(unit_id: UnitId, request: InputsRequest, caller: CallerDep) -> InputsResponse:
    """For a download that outlives its URL, and for needs beyond the grant's first page."""
    return caller.core.leases.inputs(caller.worker, unit_id, request)


@router.post("/outputs")
async def outputs(unit_id: UnitId, request: OutputsRequest, caller: CallerDep) -> OutputsResponse:
    return caller.core.leases.outputs(caller.worker, unit_id, request)


@router.post("/complete")
async def complete(unit_id: UnitId, request: CompleteRequest, caller: CallerDep) -> ReportResponse:
    return caller.core.leases.complete(caller.worker, unit_id, request)


@router.post("/fail")
async def fail(unit_id: UnitId, request: FailRequest, caller: CallerDep) -> ReportResponse:
    return caller.core.leases.fail(caller.worker, unit_id, request)
