"""P6: the emulator's state on disk is never older than a few seconds, and all of one moment.

AWS loses nothing when a caller's machine dies.
The emulator saves its services file by file, on a clean shutdown only; a SIGKILL loses everything since the start, and a
half-written set can hold a stream position that is ahead of its records.
Here all services are taken in one turn of the event loop and written as one file, every few seconds while requests come
in and at shutdown.
"""

import asyncio
import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

from ministack import app as emulator
from ministack.core import persistence
from ministack.services import cloudwatch_logs

from local.emulator.pinned import require_pinned

require_pinned()

INTERVAL_SECONDS = 5.0
_KEPT_LOG_STREAMS = 500
_FILE = "snapshot.json"

_loaded: dict[str, Any] = {}


def _path() -> Path:
    return Path(persistence.STATE_DIR) / _FILE


def _forget_old_logs() -> None:
    """The emulator makes one log stream per invocation and keeps all; here the newest of each group stay."""
    for group in cloudwatch_logs._log_groups.all_values():
        streams = group["streams"]
        for name in list(streams)[:-_KEPT_LOG_STREAMS]:
            streams.pop(name, None)


def _collect(services: dict[str, Callable[[], Any]]) -> dict[str, Any]:
    _forget_old_logs()
    states = {name: get_state() for name, get_state in services.items()}
    return {name: state for name, state in states.items() if state is not None}


def _write(states: dict[str, Any]) -> None:
    path = _path()
    path.parent.mkdir(parents=True, exist_ok=True)
    draft = path.with_suffix(".tmp")
    text = json.dumps(states, default=persistence._json_default)  # three times as fast as writing piece by piece
    with draft.open("w") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    draft.replace(path)


def _save_all(services: dict[str, Callable[[], Any]]) -> None:
    _write(_collect(services))


def _load_state(service: str) -> Any:
    if not _loaded and _path().exists():
        _loaded.update(json.loads(_path().read_text(), object_hook=persistence._json_object_hook))
    return _loaded.pop(service, None)


async def save_while_changing(*, changed: asyncio.Event) -> None:
    """Write a snapshot at most every INTERVAL_SECONDS, and only after `changed` was set; runs until cancelled."""
    while True:
        await changed.wait()
        await asyncio.sleep(INTERVAL_SECONDS)
        changed.clear()
        states = _collect(emulator._build_persistence_save_dict())
        await asyncio.to_thread(_write, states)


def apply() -> None:
    """Save and load one file for all services."""
    emulator.save_all = _save_all
    emulator.load_state = _load_state
