"""The loop that keeps leases: one call per node and interval for all its units, whatever the units are doing.

Out of reach is not dead: work goes on while calls fail. Only a lease that surely lapsed, by this host's monotonic clock, and
stayed so for the grace time ends the work; the control plane has then given the unit away or will refuse its report.
"""

import logging
import threading
import time
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Protocol

from gpupool.wire.units import HeartbeatRequest, HeartbeatResponse, UnitInstruction, UnitVerdict, Upload
from node_agent.agent_log import log_event
from node_agent.errors import AgentError, RecoverableError, UnrecoverableError
from node_agent.in_hand import AbandonReason, UnitInHand, UnitsInHand
from node_agent.retry import Backoff

logger = logging.getLogger(__name__)
_FIRST_INTERVAL = 15.0  # until the first answer names one
_LOOK_UP = 0.5  # seconds until a new unit is noticed, and with it an earlier heartbeat


class PollHealth:
    """When a queue last answered: an agent that beats but no longer polls is not well."""

    def __init__(self) -> None:
        self.last_ok_at: datetime | None = None

    def polled(self) -> None:
        self.last_ok_at = datetime.now(UTC)


class _Heart(Protocol):
    def heartbeat(self, request: HeartbeatRequest) -> HeartbeatResponse: ...


class _Shipper(Protocol):
    def order(self, unit: UnitInHand, to: Upload) -> None: ...


class Heartbeat:
    """``lease_seconds`` is how long an answered beat keeps a lease, counted from the answer's arrival: never too early."""

    def __init__(
        self,
        control_plane: _Heart,
        *,
        in_hand: UnitsInHand,
        shipper: _Shipper,
        health: PollHealth,
        draining: threading.Event,
        lease_seconds: Callable[[], float],
        grace_seconds: float,
        on_beat: Callable[[], None] = lambda: None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._control_plane = control_plane
        self._in_hand = in_hand
        self._shipper = shipper
        self._health = health
        self._draining = draining
        self._lease_seconds = lease_seconds
        self._interval = _FIRST_INTERVAL
        self._grace = grace_seconds
        self._on_beat = on_beat
        self._clock = clock

    def run(self, finished: threading.Event) -> None:
        """Beat until ``finished``, then once more so that the pool knows at once. ``UnrecoverableError`` ends the loop."""
        backoff = Backoff(base=1.0, cap=self._interval)
        wait = 0.0
        while not self._wait(finished, wait):
            try:
                self.beat()
                backoff.reset()
                wait = self._interval
            except RecoverableError as error:
                # Sooner than the next regular beat at first, so that a short outage costs no lease.
                wait = min(self._interval, 0.25 + backoff.next(at_least=error.retry_after))
                log_event(logger, "heartbeat.failed", level=logging.WARNING, error=str(error), wait=round(wait, 2))
            except UnrecoverableError:
                raise
            except AgentError as error:
                wait = self._interval
                log_event(logger, "heartbeat.refused", level=logging.ERROR, error=str(error))
            self.end_lapsed()
            self._on_beat()
        self._say_goodbye()

    def _wait(self, finished: threading.Event, seconds: float) -> bool:
        """Whether ``finished`` came; else so many seconds passed, or a third of the lease of a unit that came meanwhile."""
        until = self._clock() + seconds
        while (left := until - self._clock()) > 0:
            if finished.wait(min(left, _LOOK_UP)):
                return True
            if self._in_hand.added.is_set():
                self._in_hand.added.clear()
                until = min(until, self._clock() + self._lease_seconds() / 3)
        return finished.is_set()

    def beat(self) -> None:
        units = self._in_hand.all()
        request = HeartbeatRequest(
            units=[unit.heartbeat_entry() for unit in units],
            draining=self._draining.is_set(),
            last_poll_ok_at=self._health.last_ok_at,
        )
        answer = self._control_plane.heartbeat(request)
        if answer.heartbeat_seconds > 0:
            self._interval = float(answer.heartbeat_seconds)
        instructions = {instruction.unit_id: instruction for instruction in answer.units}
        for unit in units:
            # A unit that was reported while the beat was under way has no lease any more, and needs none.
            if unit.unit_id in instructions and self._in_hand.holds(unit):
                self._obey(unit, instructions[unit.unit_id])

    def end_lapsed(self) -> None:
        """Kill the work whose lease is gone for longer than the grace time."""
        now = self._clock()
        for unit in self._in_hand.all():
            if unit.lapsed_for(now) > self._grace:
                unit.abandon(AbandonReason.LEASE_LAPSED)

    def _obey(self, unit: UnitInHand, instruction: UnitInstruction) -> None:
        if instruction.verdict is UnitVerdict.CANCEL:
            unit.abandon(AbandonReason.CANCELLED)
        elif instruction.verdict is UnitVerdict.LEASE_LOST:
            unit.abandon(AbandonReason.LEASE_LOST)
        else:
            lasts = self._lease_seconds() if instruction.lease_seconds is None else instruction.lease_seconds
            unit.renew(lease_ends=self._clock() + lasts)
            if instruction.log_upload is not None:
                self._shipper.order(unit, instruction.log_upload)

    def _say_goodbye(self) -> None:
        try:
            self.beat()
        except AgentError as error:
            log_event(logger, "heartbeat.failed", level=logging.DEBUG, error=str(error))
