"""Starts the loops, waits, stops them in order. The main thread only reads notes: from signals, from loops, from the clock."""

import functools
import logging
import queue
import signal
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from types import FrameType

from gpupool.wire.joining import QueueGrant
from gpupool.wire.units import Doorway, UnitGrant
from node_agent import phases
from node_agent.agent_log import log_event
from node_agent.credentials import CredentialKeeper
from node_agent.errors import AbandonedError, RefusedError, UnrecoverableError
from node_agent.exit_codes import ExitCode
from node_agent.heartbeat import Heartbeat
from node_agent.in_hand import AbandonReason
from node_agent.job import Tools, do_unit, recover
from node_agent.lanes import Lane, LaneName, served_queues
from node_agent.log_shipper import LogShipper
from node_agent.phases import Course, LoopName, Phase
from node_agent.poller import Poller
from node_agent.retry import Backoff, retrying

logger = logging.getLogger(__name__)

_TICK = 0.5  # seconds between looks at the clock, while something is due by the clock
# An open long poll is left behind after this time. A doorbell that it still catches rings again when its invisibility ends.
_POLL_GRACE = 2.0
_LOOP_END = 5.0


@dataclass(frozen=True)
class SignalCame:
    """Somebody asked the agent to stop, or asked again."""


@dataclass(frozen=True)
class Started:
    """The control plane answered; queues are being polled."""


@dataclass(frozen=True)
class LoopDied:
    loop: LoopName
    error: BaseException


@dataclass(frozen=True)
class WorkEnded:
    """A unit left its lane, or a poller ended."""


Note = SignalCame | Started | LoopDied | WorkEnded


@dataclass(frozen=True)
class Parts:
    """What ``bootstrap`` puts together."""

    keeper: CredentialKeeper
    heartbeat: Heartbeat
    shipper: LogShipper
    tools: Tools
    lanes: dict[LaneName, Lane]
    new_poller: Callable[..., Poller]
    stopping: threading.Event
    write_status: Callable[[Course], None]


class Agent:
    """``run`` once. ``idle_exit_seconds``: stop by itself after that long without a unit."""

    def __init__(self, parts: Parts, *, idle_exit_seconds: float | None = None) -> None:
        self._parts = parts
        self._idle_exit = idle_exit_seconds
        self._notes: queue.SimpleQueue[Note] = queue.SimpleQueue()
        self._finished = threading.Event()
        self._course = Course()
        self._leaving_since = 0.0
        self._busy_at = time.monotonic()
        self._pollers: dict[str, tuple[Poller, threading.Thread]] = {}
        self._pollers_lock = threading.Lock()
        self._heart: threading.Thread | None = None

    def handle_signals(self) -> None:
        """SIGTERM and SIGINT ask the agent to stop."""

        def interrupt(_number: int, _frame: FrameType | None) -> None:
            self.interrupt()

        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, interrupt)

    def interrupt(self) -> None:
        """First: stop after the work in hand. Second: give it back. Third: leave. Safe inside a signal handler."""
        self._notes.put(SignalCame())

    def run(self) -> ExitCode:
        recover(self._parts.tools)
        self._spawn(LoopName.START, self._start)
        while not self._course.over:
            try:
                note = self._notes.get(timeout=_TICK if self._watches_clock() else None)
            except queue.Empty:
                note = None
            self._follow(self._decide(note))
        self._finish()
        return self._course.exit_code

    def _decide(self, note: Note | None) -> Course:
        course = self._course
        if isinstance(note, SignalCame):
            course = phases.after_signal(course, units_in_hand=self._is_busy())
        elif isinstance(note, Started):
            course = phases.after_start(course)
        elif isinstance(note, LoopDied):
            log_event(logger, "loop.died", level=logging.CRITICAL, loop=note.loop.value, error=repr(note.error))
            course = phases.after_death(course, loop=note.loop, error=note.error)
        if self._is_idle_too_long():
            course = phases.after_idle(course)
        # A change of course is carried out before the end is considered: units are told to end first.
        return phases.after_work_ended(course) if course == self._course and self._work_ended() else course

    def _follow(self, course: Course) -> None:
        if course == self._course:
            return
        before, self._course = self._course, course
        log_event(logger, "agent.phase", phase=course.phase.value, exit_code=int(course.exit_code))
        if course.leaving and not before.leaving:
            self._leaving_since = time.monotonic()
            self._parts.stopping.set()
            for lane in self._parts.lanes.values():
                lane.wake()
        if course.phase is Phase.CANCELLING:
            self._parts.tools.in_hand.abandon_all(AbandonReason.DRAINED)
        self._parts.write_status(course)

    def _watches_clock(self) -> bool:
        return self._course.leaving or self._idle_exit is not None

    def _is_busy(self) -> bool:
        return any(lane.taken for lane in self._parts.lanes.values())

    def _is_idle_too_long(self) -> bool:
        now = time.monotonic()
        if self._is_busy() or self._course.phase is Phase.STARTING:
            self._busy_at = now
        return self._idle_exit is not None and now - self._busy_at >= self._idle_exit

    def _work_ended(self) -> bool:
        if not self._course.leaving or self._is_busy():
            return False
        with self._pollers_lock:
            polls_ended = not any(thread.is_alive() for _, thread in self._pollers.values())
        return polls_ended or self._course.phase is Phase.CANCELLING or time.monotonic() - self._leaving_since >= _POLL_GRACE

    def _start(self) -> None:
        parts = self._parts
        try:
            access = retrying(
                parts.keeper.current, what="credentials", giving_up=parts.stopping, attempts=None, backoff=Backoff(base=1.0)
            )
        except AbandonedError:
            return
        except RefusedError as error:
            raise UnrecoverableError(f"no credentials: {error}") from error
        parts.keeper.when_queues_change(self._poll_queues)
        self._spawn(LoopName.LOG_SHIPPER, parts.shipper.run)
        self._heart = self._spawn(LoopName.HEARTBEAT, functools.partial(parts.heartbeat.run, self._finished))
        self._poll_queues(access.grant.queues)
        log_event(logger, "agent.ready", queues=len(self._pollers))
        self._notes.put(Started())

    def _poll_queues(self, queues: list[QueueGrant]) -> None:
        """One poller per queue that is granted and that this machine serves; the others end after their poll."""
        served = {grant.url: (grant, lane) for grant, lane in served_queues(queues, self._parts.lanes)}
        if not served:
            raise UnrecoverableError("the control plane offers no queue that this machine can serve")
        with self._pollers_lock:
            for url in self._pollers.keys() - served.keys():
                self._pollers.pop(url)[0].retire()
            for url in served.keys() - self._pollers.keys():
                grant, lane = served[url]
                poller = self._parts.new_poller(grant, lane=lane, start_unit=self._start_unit)
                self._pollers[url] = (poller, self._spawn(LoopName.POLLER, poller.run))

    def _start_unit(self, grant: UnitGrant, doorway: Doorway, lane: Lane) -> None:
        def work() -> None:
            try:
                do_unit(grant, doorway, self._parts.tools)
            finally:
                lane.release()

        self._spawn(LoopName.UNIT, work)

    def _spawn(self, loop: LoopName, body: Callable[[], None]) -> threading.Thread:
        """A daemon thread, because an open poll or a stuck upload must not hold the process; its death is noted."""

        def guarded() -> None:
            try:
                body()
            except BaseException as error:
                if not isinstance(error, UnrecoverableError):
                    logger.exception("loop.defect")
                self._notes.put(LoopDied(loop, error))
            else:
                self._notes.put(WorkEnded())

        thread = threading.Thread(target=guarded, name=loop.value, daemon=True)
        thread.start()
        return thread

    def _finish(self) -> None:
        """The last beat says that the node is leaving; then the files say so."""
        self._finished.set()
        self._parts.shipper.stop()
        if self._heart is not None:
            self._heart.join(_LOOP_END)
        self._parts.write_status(self._course)
        log_event(logger, "agent.stopped", exit_code=int(self._course.exit_code))
