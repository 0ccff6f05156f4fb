"""What an owner can set, from three sources: command line over environment (``GPU_AGENT_*``) over ``<state-dir>/agent.toml``.

There is no setting that runs units outside the sandbox: every unit is another person's code.
"""

import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from node_agent.agent_log import LogFormat
from node_agent.errors import AgentError

SETTINGS_FILE = "agent.toml"
ENVIRONMENT_PREFIX = "GPU_AGENT_"


class SettingsError(AgentError):
    """A setting is unknown or out of range; the message names it."""


class Settings(BaseModel):
    """Read once at start; later changes of the sources need a restart."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    state_dir: Path
    work_dir: Path | None = Field(default=None, description="where units run; default <state-dir>/work")
    cpu_slots: int = Field(default=1, ge=1, le=32, description="CPU units at a time")
    cache_limit_mb: int = Field(default=20_000, ge=0, description="downloads kept for the next unit")
    environment_limit_mb: int = Field(default=20_000, ge=0, description="Python environments kept for the next unit")
    poll_seconds: int = Field(default=20, ge=1, le=20, description="length of one long poll")
    lease_grace_seconds: float = Field(
        default=300.0,
        ge=0,
        description="how long work goes on, while the control plane is out of reach, after its lease lapsed",
    )
    log_format: LogFormat = LogFormat.HUMAN
    log_level: str = Field(default="info", pattern="^(debug|info|warning|error)$")

    @property
    def work_root(self) -> Path:
        return self.work_dir or self.state_dir / "work"

    @property
    def cache_root(self) -> Path:
        return self.state_dir / "cache"


def load_settings(*, cli: Mapping[str, Any], environ: Mapping[str, str]) -> Settings:
    """Merge the sources. Unknown keys in the file are refused; unknown ``GPU_AGENT_*`` variables may belong to other tools."""
    given = {name: value for name, value in cli.items() if value is not None}
    from_environment = {
        name: environ[ENVIRONMENT_PREFIX + name.upper()]
        for name in Settings.model_fields
        if ENVIRONMENT_PREFIX + name.upper() in environ
    }
    state_dir = given.get("state_dir") or from_environment.get("state_dir")
    if not state_dir:
        raise SettingsError("name the state directory: --state-dir or GPU_AGENT_STATE_DIR")
    merged = {
        **_from_file(Path(state_dir) / SETTINGS_FILE),
        **from_environment,
        **given,
        "state_dir": Path(state_dir).absolute(),
    }
    try:
        return Settings.model_validate(merged)
    except ValidationError as error:
        problems = "; ".join(f"{'.'.join(map(str, item['loc']))}: {item['msg']}" for item in error.errors())
        raise SettingsError(f"settings: {problems}") from error


def _from_file(path: Path) -> dict[str, Any]:
    try:
        found = tomllib.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return {}
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise SettingsError(f"{SETTINGS_FILE}: {error}") from error
    if "state_dir" in found:
        raise SettingsError(f"{SETTINGS_FILE}: state_dir cannot be set inside the state directory")
    return found
