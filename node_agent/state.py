"""The files an agent keeps, private to its owner and written whole or not at all. ``docs/agent-states.md`` lists them."""

import fcntl
import json
import os
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, ValidationError

from node_agent.errors import NotPairedError, StateDirInUseError

IDENTITY_FILE = "identity.json"
STATUS_FILE = "status.json"
LOCK_FILE = "agent.lock"
_LOCK_PATIENCE = 0.5


class Identity(BaseModel):
    """Who this machine is to the control plane. ``device_key`` is secret; it leaves this file only as a request header."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    node_id: str
    device_key: str
    api: str
    tier: str
    name: str


class StateDir:
    """One agent's directory (mode 0700)."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def create(self) -> None:
        self.path.mkdir(parents=True, exist_ok=True, mode=0o700)

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Hold the directory for this process, however it ends. Raises ``StateDirInUseError``."""
        self.create()
        with (self.path / LOCK_FILE).open("a", encoding="utf-8") as held:
            if not _locks_within(held.fileno(), seconds=_LOCK_PATIENCE):
                raise StateDirInUseError(f"another agent runs on {self.path}")
            yield

    def identity(self) -> Identity:
        found = self.read_json(IDENTITY_FILE)
        if found is None:
            raise NotPairedError(f"no identity in {self.path}: run `python -m node_agent pair` first")
        try:
            return Identity.model_validate(found)
        except ValidationError:
            # The message of pydantic would repeat the file's values, the key among them.
            raise NotPairedError(f"{IDENTITY_FILE} in {self.path} is damaged: pair again") from None

    def save_identity(self, identity: Identity) -> None:
        self.write_json(IDENTITY_FILE, identity.model_dump())

    def read_json(self, name: str) -> dict[str, Any] | None:
        """The object in ``name``; None when the file is absent or not a JSON object."""
        return read_json(self.path / name)

    def write_json(self, name: str, value: dict[str, Any], *, durable: bool = True) -> None:
        write_private(self.path / name, json.dumps(value, indent=1).encode(), durable=durable)


def _locks_within(descriptor: int, *, seconds: float) -> bool:
    """``status`` holds the lock for a moment to see whether it is free; that must not look like a second agent."""
    deadline = time.monotonic() + seconds
    while True:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return True
        except BlockingIOError:
            if time.monotonic() >= deadline:
                return False
            threading.Event().wait(0.05)


def read_json(path: Path) -> dict[str, Any] | None:
    """The object in ``path``; None when it is absent, unreadable or something else."""
    try:
        found = json.loads(path.read_bytes())
    except (OSError, ValueError):
        return None
    return found if isinstance(found, dict) else None


def write_private(path: Path, content: bytes, *, durable: bool = True) -> None:
    """Replace ``path`` atomically with mode 0600; a crash leaves the old file or the new one, never a part.

    ``durable`` waits for the disk, so that the new file also survives a power cut.
    """
    handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(handle, "wb") as target:
            target.write(content)
            target.flush()
            if durable:
                os.fsync(target.fileno())
        Path(temporary).replace(path)
    except BaseException:
        Path(temporary).unlink(missing_ok=True)
        raise
