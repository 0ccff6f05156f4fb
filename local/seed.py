"""The demo customer: made by the operator's CLI, then a key of its own through the public HTTP API."""

import http.client
import json
import os
import secrets as random
import subprocess
from dataclasses import replace
from urllib.parse import urlsplit

from local.identity import Secrets
from local.layout import PROJECT_PYTHON, REPO_ROOT

EMAIL = "demo@gpu-agent.example"
CREDITS = 10_000
SCOPES = (
    "dataset:write",
    "dataset:read",
    "training:write",
    "training:read",
    "artifact:read",
    "usage:read",
    "webhook:write",
)
_LAYER = REPO_ROOT / "layers" / "gpupool" / "python"
_HTTP_SECONDS = 30.0
_ERROR_TAIL_LINES = 15


class SeedError(Exception):
    """The demo customer could not be made; the message says which step failed and what it answered."""


def ensure_customer(secrets: Secrets, *, api: str, environment: dict[str, str]) -> Secrets:
    """Secrets with the demo customer's password and API key; nothing is done when they are there already."""
    if secrets.customer_api_key is not None:
        return secrets
    password = secrets.customer_password or random.token_urlsafe(18)
    operator("customer", "--email", EMAIL, f"--password={password}", "--credits", str(CREDITS), environment=environment)
    login = post(f"{api}/api/v1/customer/auth/login", body={"email": EMAIL, "password": password})
    wanted: dict[str, object] = {"name": "laptop", "scopes": list(SCOPES)}
    key = post(f"{api}/api/v1/customer/api-keys", body=wanted, token=str(login["session_token"]))
    return replace(secrets, customer_password=password, customer_api_key=str(key["key"]))


def operator(*arguments: str, environment: dict[str, str]) -> dict[str, object]:
    """Run `python -m gpupool.admin` against the stack that `environment` names; its JSON answer."""
    result = subprocess.run(
        [str(PROJECT_PYTHON), "-m", "gpupool.admin", *arguments],
        env={"PATH": os.environ.get("PATH", ""), "PYTHONPATH": str(_LAYER), **environment},
        capture_output=True,
        text=True,
        check=False,
    )
    if result.returncode != 0:
        tail = "\n".join(result.stderr.splitlines()[-_ERROR_TAIL_LINES:])
        raise SeedError(f"gpupool.admin {arguments[0]} failed:\n{tail}")
    answer: dict[str, object] = json.loads(result.stdout)
    return answer


def post(url: str, *, body: dict[str, object], token: str | None = None) -> dict[str, object]:
    """POST JSON to the local API; raises SeedError with the answer for any status but 2xx."""
    address = urlsplit(url)
    headers = {"Content-Type": "application/json"} | ({"Authorization": f"Bearer {token}"} if token else {})
    connection = http.client.HTTPConnection(address.netloc, timeout=_HTTP_SECONDS)
    try:
        connection.request("POST", address.path, body=json.dumps(body), headers=headers)
        response = connection.getresponse()
        text = response.read().decode(errors="replace")
    finally:
        connection.close()
    if not 200 <= response.status < 300:
        raise SeedError(f"POST {address.path} answered {response.status}: {text[:500]}")
    answer: dict[str, object] = json.loads(text)
    return answer
