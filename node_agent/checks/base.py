"""What a check answers with."""

from dataclasses import dataclass
from enum import StrEnum


class Level(StrEnum):
    """PROBLEM keeps the agent from running units; WARNING only makes it a worse host."""

    OK = "ok"
    WARNING = "warning"
    PROBLEM = "problem"


@dataclass(frozen=True)
class Finding:
    """``message`` is a sentence for the owner and, unless OK, says what to do."""

    check: str
    level: Level
    message: str
