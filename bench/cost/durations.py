"""How long a Lambda function is taken to run. A model, because what this machine measures says nothing about Lambda.

An invocation is its own work and that of each AWS call, which takes longer on a share of a core, and the waiting for each
answer, which does not. The figures are of a warm arm64 function in the region of its tables, set on 2026-08-21: own work as
``bench.api`` measures it on a core, waiting as AWS names it ("single-digit milliseconds") or a little above what is usual.
"""

from bench.watcher import Call

FULL_CORE_MB = 1769
# A request through the framework, and anything else.
_DOOR_SECONDS, _EVENT_SECONDS = 0.004, 0.001
_DOORS = frozenset({"customer_api", "node_api"})
# Building, signing and reading one AWS call.
_CALL_SECONDS = 0.001
_WAIT_SECONDS = {"dynamodb": 0.005, "sqs": 0.008, "s3": 0.020, "stepfunctions": 0.020, "sts": 0.020}
_TRANSACTION_SECONDS = 0.012
# Under a steady load one invocation in a thousand finds no warm environment; starting one is billed since August 2025.
_COLD_SHARE, _COLD_SECONDS = 0.001, 1.5


def waiting_seconds(call: Call) -> float:
    """From sending a request to its answer."""
    return _TRANSACTION_SECONDS if "Transact" in call.operation else _WAIT_SECONDS.get(call.service, 0.020)


def gb_seconds(room: str, *, memory_mb: int, calls: list[Call], records: int = 1) -> float:
    """Of one invocation that handles so many records and makes these calls, one after the other."""
    own = _DOOR_SECONDS if room in _DOORS else _EVENT_SECONDS * records
    working = (own + _CALL_SECONDS * len(calls)) / min(1.0, memory_mb / FULL_CORE_MB)
    seconds = working + sum(waiting_seconds(call) for call in calls) + _COLD_SHARE * _COLD_SECONDS
    return seconds * memory_mb / 1024
