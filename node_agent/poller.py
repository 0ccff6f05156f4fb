"""The loop of one queue: wait for a free lane, long-poll, claim, hand over."""

import logging
import threading
from collections.abc import Callable

from gpupool.wire.joining import QueueGrant
from gpupool.wire.units import Doorway, UnitGrant
from node_agent.agent_log import log_event
from node_agent.control_plane import ControlPlane
from node_agent.errors import (
    AbandonedError,
    AgentError,
    RecoverableError,
    RefusedError,
    UnitGoneError,
    UnrecoverableError,
)
from node_agent.heartbeat import PollHealth
from node_agent.inbox import Inbox, Ring
from node_agent.lanes import Lane
from node_agent.retry import Backoff, retrying

logger = logging.getLogger(__name__)
_CLAIM_ATTEMPTS = 3
StartUnit = Callable[[UnitGrant, Doorway, Lane], None]


class Poller:
    """``start_unit`` takes over the lane's slot with the grant and its doorway, and returns at once."""

    def __init__(
        self,
        queue: QueueGrant,
        *,
        lane: Lane,
        inbox: Inbox,
        control_plane: ControlPlane,
        health: PollHealth,
        start_unit: StartUnit,
        stopping: threading.Event,
        backoff: Backoff | None = None,
    ) -> None:
        self._queue = queue
        self._lane = lane
        self._inbox = inbox
        self._control_plane = control_plane
        self._health = health
        self._start_unit = start_unit
        self._stopping = stopping
        self._retired = False
        self._unreachable = backoff or Backoff(base=1.0, cap=60.0)
        # Rings that lead to nothing, one after the other, must not become a busy loop between two services.
        self._fruitless = Backoff(base=0.2, cap=10.0)

    def retire(self) -> None:
        """The queue is no longer granted: end after the open poll."""
        self._retired = True

    def run(self) -> None:
        """Until ``stopping`` or retired; ``UnrecoverableError`` ends it too."""
        while not self._retired and self._lane.wait_until_free(self._stopping):
            try:
                ring = self._inbox.receive(self._queue)
            except UnrecoverableError:
                raise
            except AgentError as error:
                self._wait_out(error)
                continue
            self._unreachable.reset()
            self._health.polled()
            if ring is None or self._take(ring):
                self._fruitless.reset()
            else:
                self._stopping.wait(self._fruitless.next())

    def _wait_out(self, error: AgentError) -> None:
        wait = self._unreachable.next(at_least=getattr(error, "retry_after", None))
        log_event(logger, "poll.failed", level=logging.WARNING, queue=self._queue.url, error=str(error), wait=round(wait, 2))
        self._stopping.wait(wait)

    def _take(self, ring: Ring) -> bool:
        """Whether a unit came of it. The stop, or another poller of the lane, may have come while the poll was open."""
        if self._stopping.is_set() or not self._lane.try_take():
            self._decline(ring)
            return False
        grant = None
        try:
            grant = self._claim(ring)
        finally:
            if grant is None:
                self._lane.release()
        if grant is None:
            return False
        self._start_unit(grant, ring.doorway, self._lane)
        return True

    def _claim(self, ring: Ring) -> UnitGrant | None:
        unit_id = ring.doorbell.unit_id
        try:
            return retrying(
                lambda: self._control_plane.claim(unit_id, ring.doorway),
                what="claim",
                giving_up=self._stopping,
                attempts=_CLAIM_ATTEMPTS,
                backoff=Backoff(base=0.2, cap=2.0),
            )
        except UnitGoneError as error:
            log_event(logger, "unit.not_claimed", unit=unit_id, reason=str(error))
        except (RecoverableError, RefusedError) as error:
            # The message comes back by itself when its invisibility ends.
            log_event(logger, "claim.failed", level=logging.WARNING, unit=unit_id, error=str(error))
        except AbandonedError:
            self._decline(ring)
        return None

    def _decline(self, ring: Ring) -> None:
        log_event(logger, "unit.declined", unit=ring.doorbell.unit_id, queue=self._queue.url)
        try:
            self._control_plane.decline(ring.doorbell.unit_id, ring.doorway)
        except (RecoverableError, RefusedError, UnitGoneError) as error:
            log_event(logger, "decline.failed", level=logging.WARNING, unit=ring.doorbell.unit_id, error=str(error))
