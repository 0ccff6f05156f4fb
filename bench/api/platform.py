"""The real customer door over the in-memory platform, with one customer and one job."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from mangum import Mangum

from functions.customer_api.app import create_app
from gpupool.accounts.model import Scope
from gpupool.bootstrap import build_customer_core
from gpupool.clock import SystemClock
from gpupool.jobs.model import Job, JobStatus, Quote, QuoteLine, Sensitivity, Source
from gpupool.observability import logger
from gpupool.settings import Settings
from gpupool.twins import MemoryPorts


@dataclass(frozen=True)
class Context:
    """What Lambda tells a handler about itself."""

    function_name: str = "customer_api"
    memory_limit_in_mb: int = 512
    invoked_function_arn: str = "arn:aws:lambda:us-east-1:000000000000:function:customer_api"
    aws_request_id: str = "00000000-0000-0000-0000-000000000000"


Handler = Callable[[dict[str, Any], Any], dict[str, Any]]

JOB_ID = "0199aaaa-0000-7000-8000-000000000001"
_SOURCE = Source("0199aaaa-0000-7000-8000-000000000002", "digits.npz", "application/octet-stream", "k", "0" * 64, 45_000)


def door() -> tuple[Handler, dict[str, str]]:
    """A handler and the headers of a customer who owns ``JOB_ID``."""
    ports = MemoryPorts(clock=SystemClock(), settings=Settings(requests_per_minute=1_000_000))
    core = build_customer_core(ports)
    customer = core.accounts.create_customer(email="bench@example.com", password="correct horse battery", name="bench")
    key = core.accounts.create_key(customer.id, name="bench", scopes=frozenset(Scope), expires_at=None)
    ports.world.jobs[JOB_ID] = a_job(customer.id)
    asgi = Mangum(create_app(lambda: core), lifespan="off")

    @logger().inject_lambda_context
    def handler(event: dict[str, Any], context: Any) -> dict[str, Any]:
        return asgi(event, context)

    return handler, {"x-api-key": key.plaintext}


def a_job(customer_id: str) -> Job:
    """A running job as most customers' are."""
    return Job(
        id=JOB_ID,
        customer_id=customer_id,
        name="bench",
        status=JobStatus.RUNNING,
        dataset=_SOURCE,
        package=_SOURCE,
        required_vram_mb=0,
        required_disk_mb=512,
        max_runtime_seconds=600,
        sensitivity=Sensitivity.PUBLIC,
        quote=Quote(30, (QuoteLine("cpu", 4, 30),)),
        created_at=datetime(2026, 1, 1, tzinfo=UTC),
        parameters={"epochs": 40, "learning_rate": 0.1},
        units_total=4,
    )


def get_job_event(headers: dict[str, str]) -> dict[str, Any]:
    """``GET /training-jobs/{id}`` as API Gateway sends it (payload 2.0)."""
    return event("GET", f"/api/v1/customer/training-jobs/{JOB_ID}", headers)


def event(method: str, path: str, headers: dict[str, str], *, query: str = "", body: str | None = None) -> dict[str, Any]:
    """One request as API Gateway sends it (payload 2.0)."""
    called = {"method": method, "path": path, "protocol": "HTTP/1.1", "sourceIp": "192.0.2.1", "userAgent": "bench"}
    return {
        "version": "2.0",
        "routeKey": "ANY /api/v1/customer/{proxy+}",
        "rawPath": path,
        "rawQueryString": query,
        "headers": {"host": "api.example.com", "accept": "application/json", **headers},
        "requestContext": {
            "accountId": "000000000000",
            "apiId": "api",
            "domainName": "api.example.com",
            "http": called,
            "requestId": "bench",
            "stage": "$default",
            "timeEpoch": 0,
        },
        "isBase64Encoded": False,
        **({"body": body} if body is not None else {}),
    }
