"""Log lines as events: a stable name and its keys, one line each, for people or as JSON.

Names are read by the owner's tools and by tests: add, never rename. Values never hold keys, tokens or presigned URLs.
"""

import json
import logging
import sys
import time
from enum import StrEnum
from typing import Any, TextIO

_KEYS = "event_keys"


class LogFormat(StrEnum):
    HUMAN = "human"
    JSON = "json"


def log_event(logger: logging.Logger, event: str, *, level: int = logging.INFO, **keys: Any) -> None:
    """Write one event."""
    logger.log(level, event, extra={_KEYS: keys})


def _timestamp(record: logging.LogRecord) -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(record.created)) + f".{int(record.msecs):03d}Z"


class _JsonFormatter(logging.Formatter):
    def format(self, record: logging.LogRecord) -> str:
        line = {"time": _timestamp(record), "level": record.levelname.lower(), "event": record.getMessage()}
        line.update(getattr(record, _KEYS, {}))
        if record.exc_info:
            line["trace"] = self.formatException(record.exc_info)
        return json.dumps(line, default=str)


class _HumanFormatter(logging.Formatter):
    def format(self, record: logging.LogRecord) -> str:
        keys = " ".join(f"{name}={value}" for name, value in getattr(record, _KEYS, {}).items() if value is not None)
        # A multi-line value (an error text from outside) must not look like a second event.
        text = f"{_timestamp(record)} {record.levelname.lower():7} {record.getMessage()} {keys}".replace("\n", "\\n").rstrip()
        return f"{text}\n{self.formatException(record.exc_info)}" if record.exc_info else text


def set_up_logging(*, form: LogFormat, level: str, stream: TextIO | None = None) -> None:
    """Send the agent's events to ``stream`` (stderr).

    Libraries speak from WARNING on, so that a debug log never shows a signed request.
    """
    handler = logging.StreamHandler(stream or sys.stderr)
    handler.setFormatter(_JsonFormatter() if form is LogFormat.JSON else _HumanFormatter())
    root = logging.getLogger()
    root.handlers = [handler]
    root.setLevel(logging.WARNING)
    logging.getLogger("node_agent").setLevel(level.upper())
    logging.getLogger("urllib3").setLevel(logging.ERROR)
