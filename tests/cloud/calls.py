"""Every AWS call of every handler passes here: the one place that sees it, and may spoil it, through botocore's own events."""

from collections.abc import Callable
from contextvars import ContextVar
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from botocore.awsrequest import AWSPreparedRequest, AWSResponse
from botocore.compat import HTTPHeaders
from botocore.exceptions import ReadTimeoutError
from moto.core.botocore_stubber import MockRawResponse
from moto.core.models import botocore_stubber

Params = dict[str, Any]


class Crash(BaseException):
    """The process of a function is gone: no ``except Exception`` sees it, and whatever it would have done next is not done."""


class Fate(StrEnum):
    """What becomes of one call."""

    CRASH_BEFORE = "crash before"
    CRASH_AFTER = "crash after"
    # Every try of this call is throttled, until the client gives up and raises.
    THROTTLED = "throttle"
    # The effect is there and the answer is lost. The client tries again and meets its own effect.
    TIMED_OUT = "timeout after the effect"


@dataclass(eq=False)
class Invocation:
    """One run of a handler. ``trigger`` says in words what kind of input it was."""

    room: str
    event: Any
    trigger: str
    number: int = 0
    calls: list["Call"] = field(default_factory=list)
    crashed: bool = False


@dataclass(eq=False)
class Call:
    """One AWS call as the client was asked for it; the client's own retries of it are part of it."""

    invocation: Invocation
    number: int
    service: str
    operation: str
    params: Params
    fate: Fate | None = None
    tries: int = 0
    lost: AWSResponse | None = None

    @property
    def tables(self) -> tuple[str, ...]:
        """The tables that it touches, in the order in which the request names them."""
        named: list[str] = []
        if "TableName" in self.params:
            named.append(str(self.params["TableName"]))
        named += map(str, self.params.get("RequestItems", {}))
        for statement in self.params.get("TransactItems", []):
            named += [str(each["TableName"]) for each in statement.values()]
        return tuple(dict.fromkeys(named))

    @property
    def name(self) -> str:
        """Service, operation and tables, such as ``dynamodb.TransactWriteItems(ledger, jobs)``."""
        touched = f"({', '.join(self.tables)})" if self.tables else ""
        return f"{self.service}.{self.operation}{touched}"


class Watcher:
    """Sees the calls of handlers; overrides what it wants to know."""

    def before(self, call: Call) -> Fate | None:
        """Called before anything is sent; the answer decides what becomes of the call."""

    def after(self, call: Call, answer: dict[str, Any]) -> None:
        """Called with the parsed answer, also with one that refuses."""


Respond = Callable[[str, AWSPreparedRequest], AWSResponse | None]

_current: ContextVar[Invocation | None] = ContextVar("invocation", default=None)
_sending: ContextVar[Call | None] = ContextVar("call", default=None)
_ASKED = "cloud.params"


class Wire:
    """The wire between clients and AWS. ``answers`` are services that somebody else plays than moto."""

    def __init__(self) -> None:
        self.watchers: list[Watcher] = []
        self.answers: dict[str, Respond] = {}
        self.invocations = 0

    def install(self, events: Any) -> None:
        """Hooks a session's events; clients that are made of it afterwards go through this wire."""
        events.unregister("before-send", botocore_stubber)
        events.register("provide-client-params", self._asked)
        events.register("before-call", self._begin)
        events.register("before-send", self._send)
        events.register("after-call", self._end)

    def run(self, invocation: Invocation, work: Callable[[], Any]) -> Any:
        """Runs ``work`` as that invocation: the calls in it are its calls."""
        self.invocations += 1
        invocation.number = self.invocations
        token = _current.set(invocation)
        try:
            return work()
        finally:
            _current.reset(token)

    def _asked(self, params: Params, context: dict[str, Any], **_: Any) -> None:
        context[_ASKED] = params

    def _begin(self, model: Any, context: dict[str, Any], **_: Any) -> None:
        invocation = _current.get()
        if invocation is None:
            _sending.set(None)
            return
        if invocation.crashed:
            raise Crash
        service = str(model.service_model.service_name)
        call = Call(invocation, len(invocation.calls) + 1, service, str(model.name), context[_ASKED])
        invocation.calls.append(call)
        for watcher in self.watchers:
            call.fate = watcher.before(call) or call.fate
        _sending.set(call)
        if call.fate is Fate.CRASH_BEFORE:
            self._crash(call)

    def _send(self, event_name: str, request: AWSPreparedRequest, **_: Any) -> AWSResponse | None:
        """One try of a call."""
        call = _sending.get()
        if call is None or call.fate not in (Fate.THROTTLED, Fate.TIMED_OUT):
            return self._answer(event_name, request)
        call.tries += 1
        if call.fate is Fate.THROTTLED:
            return _throttled(call, request)
        # A read whose first answer is lost and whose second comes is no fault at all, so reads lose every answer.
        if call.tries > 1 and not is_read(call.operation):
            # A transaction carries a token: within minutes its repeat is answered as it was, and done once.
            return call.lost if "ClientRequestToken" in call.params else self._answer(event_name, request)
        call.lost = self._answer(event_name, request)
        raise ReadTimeoutError(endpoint_url=request.url)

    def _answer(self, event_name: str, request: AWSPreparedRequest) -> AWSResponse | None:
        answer = self.answers.get(event_name.split(".")[1])
        return answer(event_name.split(".")[2], request) if answer else botocore_stubber(event_name, request)

    def _end(self, parsed: dict[str, Any], **_: Any) -> None:
        call = _sending.get()
        _sending.set(None)
        if call is None:
            return
        for watcher in self.watchers:
            watcher.after(call, parsed)
        if call.fate is Fate.CRASH_AFTER:
            self._crash(call)

    def _crash(self, call: Call) -> None:
        call.invocation.crashed = True
        raise Crash


_READS = ("Get", "Query", "BatchGet", "Head", "List", "Describe", "Scan")


def is_read(operation: str) -> bool:
    """Whether an operation leaves everything as it is."""
    return operation.startswith(_READS)


def _throttled(call: Call, request: AWSPreparedRequest) -> AWSResponse:
    if call.service == "s3":
        body = "<Error><Code>SlowDown</Code><Message>Reduce your request rate.</Message></Error>"
        return AWSResponse(request.url, 503, _headers("application/xml"), MockRawResponse(body))
    if call.service == "sts":
        code = "<Error><Type>Sender</Type><Code>Throttling</Code><Message>Rate exceeded</Message></Error>"
        body = f"<ErrorResponse>{code}<RequestId>r</RequestId></ErrorResponse>"
        return AWSResponse(request.url, 400, _headers("text/xml"), MockRawResponse(body))
    return json_answer(request, 400, '{"__type": "ThrottlingException", "message": "Rate exceeded"}')


def json_answer(request: AWSPreparedRequest, status: int, body: str) -> AWSResponse:
    """An answer of a JSON service."""
    return AWSResponse(request.url, status, _headers("application/x-amz-json-1.0"), MockRawResponse(body))


def _headers(content_type: str) -> HTTPHeaders:
    return HTTPHeaders.from_dict({"content-type": content_type})
