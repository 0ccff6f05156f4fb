"""What a customer has and what it was spent on."""

from typing import TYPE_CHECKING, Annotated

from fastapi import APIRouter, Query, Response

from functions.customer_api.answers import Json, listing
from functions.customer_api.deps import LIMIT, Caller, Cursor, Limit, allowed
from functions.customer_api.routes import PREFIX
from functions.customer_api.views import usage as views
from gpupool.accounts.model import Scope
from gpupool.objects.store import disposition
from gpupool.usage.model import DEFAULT_DAYS, MAX_DAYS

if TYPE_CHECKING:
    from gpupool.usage.model import CsvFile

router = APIRouter(prefix=PREFIX, tags=["usage"])
Reader = Annotated[Caller, allowed(Scope.USAGE_READ)]

Days = Annotated[int, Query(ge=1, le=MAX_DAYS, description="how many days, the last of which is today in UTC")]
_DAY = r"^2\d{3}-(0[1-9]|1[0-2])-(0[1-9]|[12]\d|3[01])$"
From = Annotated[str | None, Query(pattern=_DAY, description="first day, UTC; 30 days before the last unless it is named")]
To = Annotated[str | None, Query(pattern=_DAY, description=f"last day, UTC, today unless it is named; at most {MAX_DAYS} days")]
Month = Annotated[
    str | None, Query(pattern=r"^2\d{3}-(0[1-9]|1[0-2])$", description="YYYY-MM, UTC; the current one unless named")
]


@router.get("/usage/summary", operation_id="getUsageSummary")
async def summary(caller: Reader) -> Json:
    """Credits available, held by live jobs and spent so far, and what was used lately."""
    return Json(views.summary(caller.core.usage.summary(caller.customer_id)))


@router.get("/usage/daily", operation_id="getDailyUsage")
async def daily(caller: Reader, days: Days = DEFAULT_DAYS) -> Json:
    """What was spent, held, released and granted on each day, oldest first."""
    return Json(views.daily(caller.core.usage.daily(caller.customer_id, days=days)))


@router.get("/usage/export.csv", operation_id="exportUsage")
async def export(caller: Reader, date_from: From = None, date_to: To = None) -> Response:
    """A row for each completed unit, as CSV. A large file is elsewhere: 303."""
    return _file(caller.core.usage.export(caller.customer_id, date_from=date_from, date_to=date_to))


@router.get("/credits/ledger", operation_id="listLedgerEntries")
async def ledger(caller: Reader, limit: Limit = LIMIT, cursor: Cursor = None) -> Json:
    """Every movement of credits, newest first, each with the balance that it left."""
    entries = caller.core.credits.entries
    return listing(
        caller,
        lambda key: entries(caller.customer_id, limit=limit, key=key),
        views.line,
        name="ledger",
        limit=limit,
        cursor=cursor,
    )


@router.get("/credits/statement.csv", operation_id="getStatement")
async def statement(caller: Reader, month: Month = None) -> Response:
    """A month's entries between its opening and its closing balance, as CSV. A large file is elsewhere: 303."""
    return _file(caller.core.usage.statement(caller.customer_id, month=month))


def _file(found: "CsvFile") -> Response:
    if found.url is not None:
        return Response(status_code=303, headers={"Location": found.url})
    headers = {"Content-Disposition": disposition(found.filename)}
    return Response(found.body, media_type="text/csv", headers=headers)
