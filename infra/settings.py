"""What differs between stages, read once from the CDK context.

Context keys (`-c key=value`, or the `CDK_CONTEXT_JSON` variable when the app is started without the CLI):

| key | meaning | default |
|---|---|---|
| `stage` | `prod`, `local`, or any other word for a further deployment | `prod` |
| `name_prefix` | before every physical name, so that stages can share an account | none for prod and local, else `<stage>-` |
| `bundle_deps` | build the third-party layer; off, it is a placeholder folder and nothing is downloaded | on, off for local |
| `portal_origin` | the browser origin that may call the API and the bucket | `https://portal.gpu-agent.example` |
| `alarm_email` | who is told when an alarm fires | nobody |
| `build` | what `GET /customer/meta` calls the build, such as a commit | `unknown` |
| `requests_per_minute`, `jobs_per_minute` | limits per customer | 600 and 10; a hundredfold for local |
| `live_jobs`, `units_per_day` | likewise | 3 and 200; a hundredfold for local |
| `logins_per_minute` | sign-ins per network address | 10; a hundredfold for local |
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

LOCAL = "local"
PROD = "prod"
_DEFAULT_PORTAL = "https://portal.gpu-agent.example"
_LOCAL_PORTAL = "http://localhost:3000"
PUBLISHED_LIMITS: Mapping[str, int] = {
    "requests_per_minute": 600,
    "jobs_per_minute": 10,
    "logins_per_minute": 10,
    "live_jobs": 3,
    "units_per_day": 200,
}
_LOCAL_GENEROSITY = 100


@dataclass(frozen=True)
class StageSettings:
    """Sizes and switches of one deployment. Durations are in the unit that the name ends with."""

    stage: str
    name_prefix: str
    bundle_deps: bool
    portal_origin: str
    alarm_email: str | None
    # Of a new attempt; both grow with its age, up to ``heartbeat_most_seconds`` between two heartbeats.
    lease_seconds: int = 105
    heartbeat_seconds: int = 45
    heartbeat_most_seconds: int = 300
    log_retention_days: int = 90
    log_level: str = "INFO"
    throttle_rate_per_second: int = 200
    throttle_burst: int = 400
    execution_timeout_days: int = 7
    advance_timeout_seconds: int = 900
    watch_timeout_seconds: int = 60
    # Units of one job and capability class that may be released and not completed.
    release_window: int = 300
    build: str = "unknown"
    limits: Mapping[str, int] = field(default_factory=lambda: dict(PUBLISHED_LIMITS))

    @property
    def keeps_data(self) -> bool:
        """Whether tables and buckets outlive the stack. Only the laptop's do not."""
        return self.stage != LOCAL

    @property
    def insecure_receivers(self) -> dict[str, str]:
        """Webhook receivers that may be private and plain HTTP: those of a developer's own machine, and nobody else's."""
        return {"WEBHOOK_INSECURE_HOSTS": '["127.0.0.1", "localhost"]'} if self.stage == LOCAL else {}

    def name(self, plain: str) -> str:
        """The physical name of a resource in this deployment."""
        return f"{self.name_prefix}{plain}"


def read_settings(context: Callable[[str], object]) -> StageSettings:
    """Settings from a context lookup that answers None for an unset key.

    Raises ValueError when a key has a value that means nothing; a typo must not deploy something else than asked.
    """
    stage = str(context("stage") or PROD)
    local = stage == LOCAL
    settings = StageSettings(
        stage=stage,
        name_prefix=str(context("name_prefix") or ("" if stage in (LOCAL, PROD) else f"{stage}-")),
        bundle_deps=_switch("bundle_deps", context("bundle_deps"), default=not local),
        portal_origin=str(context("portal_origin") or (_LOCAL_PORTAL if local else _DEFAULT_PORTAL)),
        alarm_email=_optional_text(context("alarm_email")),
        # On a laptop everything is watched, and nothing costs.
        lease_seconds=8 if local else 105,
        heartbeat_seconds=2 if local else 45,
        heartbeat_most_seconds=2 if local else 300,
        build=str(context("build") or "unknown"),
        limits=_limits(context, local=local),
    )
    if settings.portal_origin == "*" or "://" not in settings.portal_origin:
        raise ValueError("portal_origin must be one origin such as https://portal.example, not a wildcard")
    return settings


def _limits(context: Callable[[str], object], *, local: bool) -> dict[str, int]:
    """The published limits, or what the context says. A laptop has one developer, and tests in a hurry."""
    generosity = _LOCAL_GENEROSITY if local else 1
    asked = {name: context(name) for name in PUBLISHED_LIMITS}
    return {
        name: published * generosity if asked[name] is None else _positive(name, asked[name])
        for name, published in PUBLISHED_LIMITS.items()
    }


def _positive(key: str, value: object) -> int:
    number = int(str(value)) if str(value).isdecimal() else 0
    if number < 1:
        raise ValueError(f"{key} must be a whole number above zero, not {value!r}")
    return number


def _switch(key: str, value: object, *, default: bool) -> bool:
    """The CLI passes context values as text, JSON context as booleans; both spellings count."""
    if value is None:
        return default
    words = {"true": True, "false": False}
    try:
        return words[str(value).lower()]
    except KeyError:
        raise ValueError(f"{key} must be true or false, not {value!r}") from None


def _optional_text(value: object) -> str | None:
    return str(value) if value else None
