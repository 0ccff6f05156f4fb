"""What can go wrong, by what the caller does next.

AgentError
├── RecoverableError      try again later; nothing is known to have happened
├── UnrecoverableError    this agent cannot go on: pair again, update, or ask the operator
├── UnitGoneError         the unit needs nobody here; poll on
├── LeaseLostError        stop the work and report nothing
├── RefusedError          this message is wrong; do not repeat it
│   └── OutputMissingError   upload again, then repeat the report
├── AbandonedError        an order from outside ended the wait or the work
├── UnitFailedError       the unit ends with a closed reason that is reported
├── NotPairedError        no identity on disk
└── StateDirInUseError    another agent runs on the same state directory
"""

from gpupool.wire.failures import FailureCode


class AgentError(Exception):
    """Base of everything the agent raises on purpose."""


class RecoverableError(AgentError):
    """``retry_after`` (seconds) is the shortest wait the other side asked for; None when it named none."""

    def __init__(self, message: str, *, retry_after: float | None = None) -> None:
        super().__init__(message)
        self.retry_after = retry_after


class UnrecoverableError(AgentError):
    """Ends the agent: repeating the call can only be refused again."""


class UnitGoneError(AgentError):
    """Somebody else has the unit, or nobody needs it any more."""


class LeaseLostError(AgentError):
    """The lease belongs to nobody here any more."""


class RefusedError(AgentError):
    """The control plane understood the message and will never accept it."""


class OutputMissingError(RefusedError):
    """An upload that the report names is absent or differs from what was declared."""


class AbandonedError(AgentError):
    """Raised where work notices that it was told to end."""


class UnitFailedError(AgentError):
    """The unit ends with ``code``; the message is shown to the customer, so it holds no path and no key."""

    def __init__(self, code: FailureCode, message: str, *, exit_code: int | None = None) -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.exit_code = exit_code


class NotPairedError(AgentError):
    """``pair`` has not run on this state directory."""


class StateDirInUseError(AgentError):
    """Two agents on one state directory would run the same leases twice."""
