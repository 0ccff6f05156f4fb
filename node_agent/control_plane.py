"""The node door of the control plane over HTTPS, each refusal turned into what the agent does next."""

import email.utils
import json
import time
from typing import TypeVar
from urllib.parse import quote

import urllib3
from pydantic import ValidationError

from gpupool.wire import PROTOCOL, PROTOCOL_HEADER
from gpupool.wire.base import Message
from gpupool.wire.errors import NodeErrorCode
from gpupool.wire.joining import CredentialsRequest, CredentialsResponse, PairRequest, PairResponse
from gpupool.wire.units import (
    ClaimRequest,
    CompleteRequest,
    Doorway,
    FailRequest,
    HeartbeatRequest,
    HeartbeatResponse,
    InputsRequest,
    InputsResponse,
    OutputsRequest,
    OutputsResponse,
    ReportResponse,
    UnitGrant,
)
from node_agent import AGENT_VERSION
from node_agent.errors import (
    AgentError,
    LeaseLostError,
    OutputMissingError,
    RecoverableError,
    RefusedError,
    UnitGoneError,
    UnrecoverableError,
)
from node_agent.web import open_url, require_safe_url

Answer = TypeVar("Answer", bound=Message)

_PREFIX = "/api/v1/node"
_TIMEOUT = urllib3.Timeout(connect=5.0, read=15.0)
_LARGEST_ANSWER = 4_000_000

_NEXT_MOVE: dict[str, type[AgentError]] = {
    NodeErrorCode.PAIRING_CODE_INVALID: UnrecoverableError,
    NodeErrorCode.NODE_AUTH_REQUIRED: UnrecoverableError,
    NodeErrorCode.NODE_REVOKED: UnrecoverableError,
    NodeErrorCode.PROTOCOL_UNSUPPORTED: UnrecoverableError,
    NodeErrorCode.UNIT_GONE: UnitGoneError,
    NodeErrorCode.UNIT_LEASED: UnitGoneError,
    NodeErrorCode.UNIT_NOT_SUITABLE: UnitGoneError,
    NodeErrorCode.LEASE_LOST: LeaseLostError,
    NodeErrorCode.OUTPUT_MISSING: OutputMissingError,
    NodeErrorCode.VALIDATION_FAILED: RefusedError,
    NodeErrorCode.INTERNAL_ERROR: RecoverableError,
}


def next_move(*, status: int, body: bytes, retry_after: float | None) -> AgentError:
    """The error that an answer with a status other than 2xx stands for.

    A code that is not ours means that something between the two sides answered (a proxy, a captive portal), so it says nothing
    about this node or its unit: try again later. A newer control plane's unknown 4xx code refuses just this message.
    """
    code, message = _error_in(body)
    if code is None or status == 429 or status >= 500:
        return RecoverableError(f"HTTP {status} {code or ''}".rstrip(), retry_after=retry_after)
    kind = _NEXT_MOVE.get(code, RefusedError)
    text = f"{code}: {message}"[:500]
    return RecoverableError(text, retry_after=retry_after) if kind is RecoverableError else kind(text)


def _error_in(body: bytes) -> tuple[str | None, str]:
    try:
        error = json.loads(body)["error"]
        return str(error["code"]), str(error.get("message", ""))
    except (ValueError, KeyError, TypeError, AttributeError):
        return None, ""


def _seconds(header: str | None) -> float | None:
    try:
        return max(0.0, float(header)) if header is not None else None
    except ValueError:
        return None


class ControlPlane:
    """One method per call of the wire; none of them retries. Safe to share between threads."""

    def __init__(self, *, api: str, device_key: str | None, pool: urllib3.PoolManager) -> None:
        self._api = require_safe_url(api.rstrip("/"))
        self._device_key = device_key
        self._pool = pool
        self._skew_seconds: float | None = None

    @property
    def skew_seconds(self) -> float | None:
        """How far this host's clock is ahead of the control plane's, from the last answer; None before the first."""
        return self._skew_seconds

    def pair(self, request: PairRequest) -> PairResponse:
        return self._post("/pair", request, PairResponse)

    def credentials(self, request: CredentialsRequest) -> CredentialsResponse:
        return self._post("/credentials", request, CredentialsResponse)

    def claim(self, unit_id: str, doorway: Doorway) -> UnitGrant:
        grant = self._post(f"{_unit(unit_id)}/claim", ClaimRequest(doorway=doorway, pages=True), UnitGrant)
        if grant.unit_id != unit_id:
            raise RefusedError("the grant is for another unit than the one asked for")
        return grant

    def decline(self, unit_id: str, doorway: Doorway) -> None:
        """Make the message visible to others at once."""
        self._send("POST", f"{_unit(unit_id)}/decline", ClaimRequest(doorway=doorway))

    def heartbeat(self, request: HeartbeatRequest) -> HeartbeatResponse:
        return self._post("/heartbeat", request, HeartbeatResponse)

    def inputs(self, unit_id: str, request: InputsRequest) -> InputsResponse:
        """Inputs with URLs that live from now on."""
        return self._post(f"{_unit(unit_id)}/inputs", request, InputsResponse)

    def outputs(self, unit_id: str, request: OutputsRequest) -> OutputsResponse:
        return self._post(f"{_unit(unit_id)}/outputs", request, OutputsResponse)

    def complete(self, unit_id: str, request: CompleteRequest) -> ReportResponse:
        return self._post(f"{_unit(unit_id)}/complete", request, ReportResponse)

    def fail(self, unit_id: str, request: FailRequest) -> ReportResponse:
        return self._post(f"{_unit(unit_id)}/fail", request, ReportResponse)

    def measure_skew(self) -> float | None:
        """Ask for the control plane's time; its answer to an unknown path carries it too."""
        try:
            self._send("GET", "/", None)
        except RecoverableError:
            return self._skew_seconds
        except AgentError:
            pass  # any answer of the control plane had a date
        return self._skew_seconds

    def _post(self, path: str, request: Message, answer: type[Answer]) -> Answer:
        body = self._send("POST", path, request)
        try:
            return answer.model_validate_json(body)
        except ValidationError as error:
            # The values stay out of the message: a grant holds presigned URLs. A proxy's page with status 200 lands here too.
            fields = sorted({".".join(map(str, item["loc"])) for item in error.errors()})
            raise RecoverableError(f"unreadable answer to {path}: {', '.join(fields) or 'not JSON'}") from None

    def _send(self, method: str, path: str, request: Message | None) -> bytes:
        headers = {PROTOCOL_HEADER: str(PROTOCOL), "User-Agent": f"gpu-agent/{AGENT_VERSION}", "Accept": "application/json"}
        if self._device_key is not None:
            headers["Authorization"] = f"Bearer {self._device_key}"
        body = None
        if request is not None:
            headers["Content-Type"] = "application/json"
            body = request.model_dump_json(exclude_none=True).encode()
        url = f"{self._api}{_PREFIX}{path}"
        with open_url(self._pool, method, url, headers=headers, timeout=_TIMEOUT, body=body) as response:
            answer = response.read(_LARGEST_ANSWER)
            self._note_date(response.headers.get("Date"))
            if not 200 <= response.status < 300:
                raise next_move(status=response.status, body=answer, retry_after=_seconds(response.headers.get("Retry-After")))
            return answer

    def _note_date(self, header: str | None) -> None:
        try:
            theirs = email.utils.parsedate_to_datetime(header or "").timestamp()
        except ValueError:
            return
        self._skew_seconds = time.time() - theirs


def _unit(unit_id: str) -> str:
    return f"/units/{quote(unit_id, safe='')}"
