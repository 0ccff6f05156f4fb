"""Every environment variable of the functions, read once."""

import json
import os
from collections.abc import Mapping
from functools import cache

from pydantic import BaseModel, ConfigDict, Field

_JSON = frozenset({"queue_urls", "webhook_insecure_hosts"})


class Settings(BaseModel):
    """A function gets only the variables it needs; reading one it was not given fails with that name."""

    model_config = ConfigDict(frozen=True)

    stage: str = "local"
    customers_table: str = ""
    keys_table: str = ""
    uploads_table: str = ""
    jobs_table: str = ""
    progress_table: str = ""
    units_table: str = ""
    gates_table: str = ""
    ledger_table: str = ""
    nodes_table: str = ""
    idempotency_table: str = ""
    events_table: str = ""
    limits_table: str = ""
    webhooks_table: str = ""
    deliveries_table: str = ""
    bucket: str = ""
    queue_urls: dict[str, str] = Field(default_factory=dict)
    state_machine_arn: str = ""
    node_role_arn: str = ""
    signing_secret_arn: str = ""
    webhook_queue_url: str = ""
    # Receivers that may be private and plain HTTP; only the local stage names any.
    webhook_insecure_hosts: frozenset[str] = frozenset()
    lease_seconds: int = Field(default=60, ge=2)
    heartbeat_seconds: int = Field(default=15, ge=1)
    heartbeat_most_seconds: int = Field(default=15, ge=1)
    # As published: per customer, and sign-ins per network address.
    requests_per_minute: int = Field(default=600, ge=1, le=1_000_000)
    jobs_per_minute: int = Field(default=10, ge=1, le=1_000_000)
    logins_per_minute: int = Field(default=10, ge=1, le=1_000_000)
    # Units of one job and capability class that may be released and not completed; more where more machines work on them.
    release_window: int = Field(default=300, ge=1)
    live_jobs: int = Field(default=3, ge=1)
    units_per_day: int = Field(default=200, ge=1)
    build: str = "unknown"
    # Where the portal's pages come from; empty where no portal is known, and then no origin is refused.
    portal_origin: str = ""

    @classmethod
    def from_environment(cls, environment: Mapping[str, str]) -> "Settings":
        """Reads the variables named like the fields, upper-case; QUEUE_URLS and WEBHOOK_INSECURE_HOSTS are JSON."""
        values: dict[str, object] = {}
        for name in cls.model_fields:
            raw = environment.get(name.upper())
            if raw:
                values[name] = json.loads(raw) if name in _JSON else raw
        return cls.model_validate(values)

    def require(self, name: str) -> str:
        """The value of a text setting; a missing one is a deployment fault and says which."""
        value = getattr(self, name)
        if not value:
            raise RuntimeError(f"setting {name.upper()} is not in this function's environment")
        return str(value)


@cache
def settings() -> Settings:
    """This process's settings."""
    return Settings.from_environment(os.environ)
