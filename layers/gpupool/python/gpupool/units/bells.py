"""Answers to bells that nothing depends on: the unit's row has been written, or the call is refused anyway."""

import logging
import math
from datetime import datetime

from gpupool.dispatch.queue import Queue
from gpupool.units.model import Worker
from gpupool.wire.units import Doorway

logger = logging.getLogger(__name__)

# The bell stays hidden a little longer than the lease, so that it never rings while the lease still holds.
_SLACK_SECONDS = 1


class Bells:
    """A queue that fails here is logged and no more: the bell rings too early or once too often, and the row refuses it.

    So does a bell whose doorway is not known (None).
    """

    def __init__(self, queue: Queue) -> None:
        self._queue = queue

    def hide(self, doorway: Doorway | None, *, seconds: int) -> None:
        if doorway is None:
            return
        try:
            self._queue.hide(doorway, seconds=seconds)
        except Exception:
            logger.exception("bell_not_hidden")

    def silence(self, doorway: Doorway | None) -> None:
        if doorway is None:
            return
        try:
            self._queue.silence(doorway)
        except Exception:
            logger.exception("bell_not_silenced")


def served(worker: Worker, doorway: Doorway | None) -> Doorway | None:
    """The doorway that a heartbeat or a report names; None when it leads to no queue of this machine.

    Such a one reaches no queue, but is no reason to refuse the call, as it would be for a claim: what counts is the lease.
    The work may be hours long, and meanwhile another grant may have taken a queue from the machine that it once heard.
    """
    if doorway is not None and doorway.queue_url not in worker.queue_urls:
        logger.warning("doorway_not_served", extra={"node_id": worker.node_id})
        return None
    return doorway


def seconds_until(moment: datetime, *, now: datetime) -> int:
    """How long to hide a bell that may ring again just after ``moment``."""
    return max(0, math.ceil((moment - now).total_seconds())) + _SLACK_SECONDS
