"""What a program needs to know to use a local stack, and the file that tells a shell."""

import json
import shlex
from collections.abc import Mapping
from pathlib import Path

from local import seed
from local.identity import Secrets, write_private
from local.process import REGION
from local.transforms import API_ID


def api_url(endpoint: str) -> str:
    """Base of the HTTP API; routes such as `/api/v1/customer/...` follow it."""
    return f"{endpoint}/_aws/execute-api/{API_ID}"


def aws_variables(secrets: Secrets, *, endpoint: str) -> dict[str, str]:
    """The standard AWS variables: with them, and nothing else, every AWS SDK talks to the local stack."""
    return {
        "AWS_ENDPOINT_URL": endpoint,
        "AWS_REGION": REGION,
        "AWS_DEFAULT_REGION": REGION,
        "AWS_ACCESS_KEY_ID": secrets.admin_key_id or "",
        "AWS_SECRET_ACCESS_KEY": secrets.admin_secret or "",
    }


def core_settings(outputs: Mapping[str, str]) -> dict[str, str]:
    """The variables that the core's settings read, from the stack's output of that purpose."""
    settings: dict[str, str] = json.loads(outputs["Settings"])
    return settings


def customer_variables(secrets: Secrets, *, endpoint: str) -> dict[str, str]:
    """How to be the demo customer; without its secrets when it was not made."""
    variables = {"GPU_AGENT_API": api_url(endpoint), "GPU_AGENT_EMAIL": seed.EMAIL}
    if secrets.customer_password and secrets.customer_api_key:
        variables["GPU_AGENT_PASSWORD"] = secrets.customer_password
        variables["GPU_AGENT_API_KEY"] = secrets.customer_api_key
    return variables


def write_env_file(path: Path, variables: Mapping[str, str]) -> None:
    """Write `NAME=value` lines, quoted for a shell: `set -a; . .local/stack.env; set +a`. Only the owner may read it."""
    lines = ["# A node for this stack: make node", *(f"{name}={shlex.quote(value)}" for name, value in variables.items())]
    write_private(path, "\n".join(lines) + "\n")


def read_env_file(path: Path) -> dict[str, str]:
    """The variables of a file that `write_env_file` wrote; empty when there is none."""
    try:
        text = path.read_text()
    except FileNotFoundError:
        return {}
    pairs = (word.partition("=") for word in shlex.split(text, comments=True))
    return {name: value for name, _, value in pairs}
