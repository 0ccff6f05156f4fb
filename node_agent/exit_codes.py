"""How the agent ends, for service managers and scripts. ``docs/agent-states.md`` says what to do about each."""

from enum import IntEnum


class ExitCode(IntEnum):
    STOPPED = 0
    USAGE = 2
    NOT_PAIRED = 3
    REFUSED = 4
    STATE_DIR_IN_USE = 5
    HOST_NOT_READY = 6
    UNITS_GIVEN_BACK = 7
    LOOP_DIED = 70
    UNREACHABLE = 75
