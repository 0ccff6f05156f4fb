"""P9: what a stream has not delivered yet survives a restart, and positions keep their meaning.

AWS keeps a stream's records for 24 hours, whatever happens to their readers.
The emulator saves the positions of its mappings but not the records, and counts the records of a stream from zero again:
undelivered records are lost, and as many new ones are skipped as there were before.
The patch saves the undelivered records with the number of those before them, so that positions stay absolute.
"""

import copy
import threading
from typing import Any

from ministack.core.responses import AccountRegionScopedDict
from ministack.services import dynamodb, lambda_svc

from local.emulator.pinned import require_pinned, wrap

require_pinned()

_RECORDS = "stream_records"
_TRIMMED = "stream_trimmed"
_COUNTER = "stream_sequence"
_WORTH_FORGETTING = 1000

_lock = threading.Lock()


def _read_up_to(table_arn: str) -> int | None:
    """The lowest position of the mappings that read the table's stream; None when there is no mapping."""
    positions = [
        lambda_svc._dynamodb_stream_positions.get_scoped(account, region, mapping["UUID"], 0)
        for account, region, mapping in lambda_svc._iter_all_esms()
        if mapping.get("EventSourceArn", "").startswith(f"{table_arn}/stream/")
    ]
    return min(positions, default=None)


def forget_delivered(*, at_least: int = _WORTH_FORGETTING) -> None:
    """Drop the records that every mapping is past, so that a stack that runs for days does not keep them in memory.

    Only for the thread that reads the streams: a reader between looking up a position and slicing would skip records.
    """
    with _lock:
        for (account, region, name), kept in dynamodb._stream_records.all_items():
            delivered = _delivered(account, region, name)
            if delivered >= at_least:
                del kept[:delivered]
                before = dynamodb._stream_trimmed.get_scoped(account, region, name, 0)
                dynamodb._stream_trimmed.set_scoped(account, region, name, before + delivered)


def _delivered(account: str, region: str, name: str) -> int:
    table = dynamodb._tables.get_scoped(account, region, name)
    read = _read_up_to(table["TableArn"]) if table else None
    kept = dynamodb._stream_records.get_scoped(account, region, name, [])
    before = int(dynamodb._stream_trimmed.get_scoped(account, region, name, 0))
    return min(len(kept), max(0, (read or 0) - before))


def _state_with_streams(original: Any) -> Any:
    records, trimmed = AccountRegionScopedDict(), AccountRegionScopedDict()
    with _lock:
        for (account, region, name), kept in dynamodb._stream_records.all_items():
            delivered = _delivered(account, region, name)
            before = dynamodb._stream_trimmed.get_scoped(account, region, name, 0)
            records.set_scoped(account, region, name, copy.deepcopy(kept[delivered:]))
            trimmed.set_scoped(account, region, name, before + delivered)
    return {**original(), _RECORDS: records, _TRIMMED: trimmed, _COUNTER: dynamodb._stream_seq_counter}


def _restore_with_streams(original: Any, data: Any) -> None:
    original(data)
    if data and _RECORDS in data:
        dynamodb._stream_records.update(data[_RECORDS])
        dynamodb._stream_trimmed.update(data[_TRIMMED])
        dynamodb._stream_seq_counter = data[_COUNTER]


def apply() -> None:
    """Save and load streams with their tables."""
    wrap(dynamodb, "get_state", _state_with_streams)
    wrap(dynamodb, "_restore_state", _restore_with_streams)
