"""What a customer has and what it was spent on."""

from typing import Annotated

from fastapi import APIRouter

from functions.customer_api.answers import Json, listing, moment
from functions.customer_api.deps import LIMIT, Caller, Cursor, Limit, allowed
from functions.customer_api.routes import PREFIX
from functions.customer_api.views import usage as views
from gpupool.accounts.model import Scope

router = APIRouter(prefix=PREFIX, tags=["usage"])
Reader = Annotated[Caller, allowed(Scope.USAGE_READ)]


@router.get("/usage/summary", operation_id="getUsageSummary")
async def summary(caller: Reader) -> Json:
    """Credits available, held by live jobs and spent so far."""
    core = caller.core
    return Json({"credits": views.balance(core.credits.balance(caller.customer_id)), "as_of": moment(core.clock.now())})


@router.get("/credits/ledger", operation_id="listLedgerEntries")
async def ledger(caller: Reader, limit: Limit = LIMIT, cursor: Cursor = None) -> Json:
    """Every entry of the ledger, newest first: grants, holds, debits and releases."""
    entries = caller.core.credits.entries
    return listing(
        caller,
        lambda key: entries(caller.customer_id, limit=limit, key=key),
        views.transfer,
        name="ledger",
        limit=limit,
        cursor=cursor,
    )
