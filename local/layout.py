"""Where the laptop runtime keeps its files."""

from dataclasses import dataclass
from pathlib import Path

REPO_ROOT = Path(__file__).resolve().parent.parent


@dataclass(frozen=True)
class Layout:
    """Paths under one runtime directory. Removing `state` forgets every customer, job and object of this stack."""

    home: Path

    @property
    def state(self) -> Path:
        return self.home / "state"

    @property
    def run(self) -> Path:
        return self.home / "run"

    @property
    def pid_file(self) -> Path:
        return self.run / "emulator.json"

    @property
    def log_file(self) -> Path:
        return self.run / "emulator.log"

    @property
    def lock_file(self) -> Path:
        return self.home / "stack.lock"

    @property
    def env_file(self) -> Path:
        return self.home / "stack.env"

    @property
    def secrets_file(self) -> Path:
        return self.state / "local-keys.json"


DEFAULT_LAYOUT = Layout(home=REPO_ROOT / ".local")
LOCK_FILE = REPO_ROOT / "requirements" / "ministack.lock"
TOOL_VENV = REPO_ROOT / ".local" / "tools" / "ministack"
SYNTH_CACHE = REPO_ROOT / ".local" / "synth"
PROJECT_PYTHON = REPO_ROOT / ".venv" / "bin" / "python"
