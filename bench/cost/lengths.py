"""Receipts and task tokens as long as AWS's: rows hold them, and a row that outgrows a kilobyte costs a unit more.

What moto and the in-process cloud hand out is shorter, so it is padded on its way to the handlers, and cut on its way back.
"""

from typing import Any

# As seen in published examples: receipts of standard queues have 340 to 412 characters, task tokens 600 to 700.
RECEIPT_CHARACTERS = 412
TOKEN_CHARACTERS = 700
_PADDING = "="


def lengthen_receipts(*clients: Any) -> None:
    """Messages that these SQS clients receive have long receipts, and they take such."""
    for client in clients:
        client.meta.events.register("after-call.sqs.ReceiveMessage", _pad_receipts)
        client.meta.events.register("provide-client-params.sqs", _cut_receipts)


def accept_long_tokens(client: Any) -> None:
    """The Step Functions client takes tokens that were ``long_token``."""
    client.meta.events.register("provide-client-params.sfn", _cut_token)


def long_token(token: str) -> str:
    return token.ljust(TOKEN_CHARACTERS, _PADDING)


def _pad_receipts(parsed: dict[str, Any], **_: Any) -> None:
    for message in parsed.get("Messages", []):
        message["ReceiptHandle"] = message["ReceiptHandle"].ljust(RECEIPT_CHARACTERS, _PADDING)


def _cut_receipts(params: dict[str, Any], **_: Any) -> None:
    for each in (params, *params.get("Entries", [])):
        if "ReceiptHandle" in each:
            each["ReceiptHandle"] = each["ReceiptHandle"].rstrip(_PADDING)


def _cut_token(params: dict[str, Any], **_: Any) -> None:
    if "taskToken" in params:
        params["taskToken"] = params["taskToken"].rstrip(_PADDING)
