"""What the agent says about itself on disk, for its owner."""

import logging
import os
import threading
from datetime import UTC, datetime

from node_agent.agent_log import log_event
from node_agent.in_hand import UnitsInHand
from node_agent.phases import Course
from node_agent.state import STATUS_FILE, Identity, StateDir

logger = logging.getLogger(__name__)


class StatusFile:
    """``status.json``: what ``status`` shows, renewed with every beat and every change of phase.

    On a full disk it stays as it was: no unit is worth less for it.
    """

    def __init__(self, state: StateDir, *, identity: Identity, in_hand: UnitsInHand) -> None:
        self._state = state
        self._identity = identity
        self._in_hand = in_hand
        self._course = Course()
        self._lock = threading.Lock()

    def note(self, course: Course) -> None:
        self._course = course
        self.write()

    def write(self) -> None:
        units = [
            {"unit_id": unit.unit_id, "attempt": unit.lease.attempt, "stage": unit.stage.value} for unit in self._in_hand.all()
        ]
        status = {
            "pid": os.getpid(),
            "node_id": self._identity.node_id,
            "name": self._identity.name,
            "phase": self._course.phase.value,
            "exit_code": int(self._course.exit_code) if self._course.over else None,
            "units": units,
            "updated_at": datetime.now(UTC).isoformat(timespec="seconds"),
        }
        try:
            with self._lock:
                self._state.write_json(STATUS_FILE, status, durable=False)
        except OSError as error:
            log_event(logger, "status.unwritten", level=logging.WARNING, error=str(error))
