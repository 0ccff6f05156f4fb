"""What the agent does next, decided without doing it: phases, and what moves it from one to the next."""

from dataclasses import dataclass, replace
from enum import StrEnum

from node_agent.errors import UnrecoverableError
from node_agent.exit_codes import ExitCode


class Phase(StrEnum):
    """STOPPING takes no new work and finishes the work in hand; CANCELLING ends that too and gives it back."""

    STARTING = "starting"
    SERVING = "serving"
    STOPPING = "stopping"
    CANCELLING = "cancelling"
    STOPPED = "stopped"


class LoopName(StrEnum):
    START = "start"
    HEARTBEAT = "heartbeat"
    LOG_SHIPPER = "log_shipper"
    POLLER = "poller"
    UNIT = "unit"


@dataclass(frozen=True)
class Course:
    """Where the agent stands and how it will end."""

    phase: Phase = Phase.STARTING
    exit_code: ExitCode = ExitCode.STOPPED

    @property
    def over(self) -> bool:
        return self.phase is Phase.STOPPED

    @property
    def leaving(self) -> bool:
        return self.phase not in (Phase.STARTING, Phase.SERVING)


def after_start(course: Course) -> Course:
    return replace(course, phase=Phase.SERVING) if course.phase is Phase.STARTING else course


def after_signal(course: Course, *, units_in_hand: bool) -> Course:
    """First: stop. Second: cancel, which shows in the exit code when there was something to give back. Third: leave at once."""
    if course.phase in (Phase.STARTING, Phase.SERVING):
        return replace(course, phase=Phase.STOPPING)
    if course.phase is Phase.STOPPING:
        code = ExitCode.UNITS_GIVEN_BACK if units_in_hand and course.exit_code is ExitCode.STOPPED else course.exit_code
        return Course(phase=Phase.CANCELLING, exit_code=code)
    return replace(course, phase=Phase.STOPPED)


def after_idle(course: Course) -> Course:
    """The idle time that the owner allowed is over."""
    return replace(course, phase=Phase.STOPPING) if course.phase is Phase.SERVING else course


def after_death(course: Course, *, loop: LoopName, error: BaseException) -> Course:
    """A loop that ends with an error ends the agent. Without heartbeats, or refused for good, leases in hand are worthless."""
    code = ExitCode.REFUSED if isinstance(error, UnrecoverableError) else ExitCode.LOOP_DIED
    hopeless = loop is LoopName.HEARTBEAT or code is ExitCode.REFUSED
    phase = Phase.CANCELLING if hopeless or course.phase is Phase.CANCELLING else Phase.STOPPING
    # The first cause is the one to show.
    return Course(phase=phase, exit_code=code if course.exit_code is ExitCode.STOPPED else course.exit_code)


def after_work_ended(course: Course) -> Course:
    return replace(course, phase=Phase.STOPPED) if course.leaving else course
