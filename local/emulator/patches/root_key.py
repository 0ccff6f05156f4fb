"""Only the configured key is the root's, and its signature counts.

AWS refuses a key that it did not issue (InvalidClientTokenId, UnrecognizedClientException) and every wrong signature.
The emulator takes `test` and every 12-digit key for the account's root, and checks no signature of a root key: any
program of any user of the machine could create a function and so run code as the emulator's owner.
The patch leaves the empty key, by which the emulator's own parts call each other, and the configured one.
"""

import os
from typing import Any

from ministack.core import iam_evaluator
from ministack.services import sts

from local.emulator.pinned import require_pinned, wrap

require_pinned()


def _is_ours(_original: Any, access_key_id: str) -> bool:
    return access_key_id in {"", os.environ["AWS_ACCESS_KEY_ID"]}


def _needs_no_signature(_original: Any, access_key_id: str) -> bool:
    return access_key_id == ""


def apply() -> None:
    """Know one root key, and check its signature like any other."""
    for module in (iam_evaluator, sts):
        wrap(module, "is_root_access_key", _is_ours)
    wrap(iam_evaluator, "_is_root_key", _needs_no_signature)
