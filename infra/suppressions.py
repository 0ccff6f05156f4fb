"""Every accepted finding of the security rules, with its reason.

Fixing comes before accepting. A reason says why the rule does not apply here, never only that it does not.
"""

from enum import StrEnum

from aws_cdk import Acknowledgment, Validations
from constructs import IConstruct


class Because(StrEnum):
    """The reasons; each stands in the synthesised assembly beside what it accepts."""

    XRAY_HAS_NO_RESOURCES = "xray:PutTraceSegments and xray:PutTelemetryRecords accept no resource other than *."
    PYTHON_311 = "The dependency layer and its byte-code are built for Python 3.11, which Lambda supports."
    CALLEE_AUTHENTICATES = (
        "The functions check session tokens, API keys and device keys themselves; "
        "sign-in, pairing and the answer to unknown paths are public."
    )
    STATES_LOGS_AND_TRACES = "Log delivery and X-Ray actions accept no resource other than *."
    LIST_STREAMS_HAS_NO_RESOURCES = "dynamodb:ListStreams accepts no resource but *; reading is limited to one stream."
    KEYS_BELOW_A_PREFIX = "Keys hold the customer's or the job's id; the function decides which of them a caller may name."
    EXECUTIONS_OF_ONE_MACHINE = "An execution's ARN ends with its name, which is a job's id; the machine before it is named."
    LAST_RESORT_QUEUE = "It is itself the end of the line for stream records, and an alarm watches its depth."
    CURSORS_ARE_SHORT_LIVED = (
        "It signs page cursors, which grant nothing by themselves; a new value only makes clients start a list again."
    )


def acknowledge(construct: IConstruct, *rules: str, because: Because) -> None:
    """Accepts the findings of `rules` on the construct and on what it contains."""
    Validations.of(construct).acknowledge(*(Acknowledgment(id=rule, reason=because.value) for rule in rules))
