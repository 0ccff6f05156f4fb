"""Error codes of the node door; each tells the agent what to do next."""

from enum import StrEnum


class NodeErrorCode(StrEnum):
    PAIRING_CODE_INVALID = "PAIRING_CODE_INVALID"  # ask the operator for a new code
    NODE_AUTH_REQUIRED = "NODE_AUTH_REQUIRED"  # unrecoverable: pair again
    NODE_REVOKED = "NODE_REVOKED"  # unrecoverable: the machine was removed from the pool
    PROTOCOL_UNSUPPORTED = "PROTOCOL_UNSUPPORTED"  # unrecoverable: update the agent
    UNIT_GONE = "UNIT_GONE"  # the unit needs nobody any more; poll on
    UNIT_LEASED = "UNIT_LEASED"  # another node holds it, or has heard its bell since; poll on
    UNIT_NOT_SUITABLE = "UNIT_NOT_SUITABLE"  # this machine cannot run it, or failed it lately; poll on
    LEASE_LOST = "LEASE_LOST"  # stop the work, do not report it
    OUTPUT_MISSING = "OUTPUT_MISSING"  # an upload is absent or differs from what was declared; upload again
    VALIDATION_FAILED = "VALIDATION_FAILED"  # this message is wrong; do not repeat it
    INTERNAL_ERROR = "INTERNAL_ERROR"  # try again later
