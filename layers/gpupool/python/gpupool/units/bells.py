"""Answers to bells that nothing depends on: the unit's row has been written, or the call is refused anyway."""

import logging
import math
from datetime import datetime

from gpupool.dispatch.queue import Queue
from gpupool.units.model import LeaseState
from gpupool.wire.units import Doorway

logger = logging.getLogger(__name__)

# The bell stays hidden a little longer than the lease, so that it never rings while the lease still holds.
_SLACK_SECONDS = 1


class Bells:
    """A queue that fails here is logged and no more: the bell rings too early or once too often, and the row refuses it."""

    def __init__(self, queue: Queue) -> None:
        self._queue = queue

    def hide(self, doorway: Doorway, *, seconds: int) -> None:
        try:
            self._queue.hide(doorway, seconds=seconds)
        except Exception:
            logger.exception("bell_not_hidden")

    def silence(self, doorway: Doorway) -> None:
        try:
            self._queue.silence(doorway)
        except Exception:
            logger.exception("bell_not_silenced")


def doorway_of(lease: LeaseState) -> Doorway:
    """The bell that led to the lease."""
    return Doorway(queue_url=lease.queue_url, receipt_handle=lease.receipt_handle)


def seconds_until(moment: datetime, *, now: datetime) -> int:
    """How long to hide a bell that may ring again just after ``moment``."""
    return max(0, math.ceil((moment - now).total_seconds())) + _SLACK_SECONDS
