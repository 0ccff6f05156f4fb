"""Three other ways to run units, priced with the same prices: what a unit uses in each, written out.

All three keep what a customer sees and pays: a row per unit (planned, running, done) and a debit of two items in a transaction.
None of them counts machines, storage or logs, as our own figures do not.
"""

from dataclasses import dataclass

from bench.cost.prices import Item, Usage

# A function of 512 MB for 30 ms.
_LAMBDA = Usage({Item.LAMBDA_REQUEST: 1, Item.LAMBDA_GB_SECOND: 0.015})
_REQUEST = Usage.of(Item.API_REQUEST) + _LAMBDA
_ROWS_AND_DEBIT = Usage({Item.DYNAMODB_WRITE: 3 + 2 * 2, Item.DYNAMODB_READ: 2})


@dataclass(frozen=True)
class Reference:
    """``unit`` without heartbeats, and one ``heartbeat``."""

    name: str
    how: str
    unit: Usage
    heartbeat: Usage


TASK_TOKEN = Reference(
    "task token per unit",
    "a Map over the units: choose, send to a queue and wait for the token, record, end: four transitions. The machine polls the"
    " queue itself, and asks for its uploads, reports and deletes over the API",
    unit=Usage({Item.STATE_TRANSITION: 4, Item.SQS_REQUEST: 3}) + _REQUEST * 3 + _ROWS_AND_DEBIT,
    heartbeat=_REQUEST + Usage.of(Item.SQS_REQUEST),
)
BATCH_JOB = Reference(
    "batch job per unit",
    "a Map over the units: submit a job and wait for it, record: two transitions; events of the job's start and end each call a"
    " function. The batch service watches its own machines, which cannot be at home, and admits 50 jobs a second",
    unit=Usage({Item.STATE_TRANSITION: 2}) + _LAMBDA * 2 + _ROWS_AND_DEBIT,
    heartbeat=Usage(),
)
WORKFLOW_SERVICE = Reference(
    "workflow service",
    "two activities per unit, the work and the debit, and an action for each heartbeat; uploads are asked for over the API",
    unit=Usage.of(Item.ACTION, 2) + _REQUEST + _ROWS_AND_DEBIT,
    heartbeat=Usage.of(Item.ACTION),
)
REFERENCES = (TASK_TOKEN, BATCH_JOB, WORKFLOW_SERVICE)
