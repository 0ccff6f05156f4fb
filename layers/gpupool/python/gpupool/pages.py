"""Cursor pages: opaque, signed, bound to the tenant and to the filter they were made for."""

import base64
import binascii
import hashlib
import hmac
import json
from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from typing import Generic, TypeVar

from gpupool.clock import Clock
from gpupool.errors import ValidationFailed

T = TypeVar("T")

DEFAULT_LIMIT = 50
MAX_LIMIT = 100
CURSOR_LIFETIME = timedelta(hours=24)

Key = dict[str, str]


@dataclass(frozen=True, slots=True)
class Page(Generic[T]):
    """One page; ``next_key`` is the store's own key to continue from, None at the end."""

    items: tuple[T, ...]
    next_key: Key | None


class Cursors:
    """Turns store keys into cursors and back. A raw key would let a caller point into another tenant's rows."""

    def __init__(self, *, secret: Callable[[], bytes], clock: Clock) -> None:
        self._secret = secret
        self._clock = clock

    def encode(self, key: Key | None, *, scope: str) -> str | None:
        """The cursor for ``key``; ``scope`` names tenant, list and filter, and must be repeated to decode."""
        if key is None:
            return None
        expires = int((self._clock.now() + CURSOR_LIFETIME).timestamp())
        body = json.dumps({"ts": expires, "k": key}, separators=(",", ":")).encode()
        return _b64(body + self._sign(body, scope))

    def decode(self, cursor: str | None, *, scope: str) -> Key | None:
        """The key inside ``cursor``; PAGINATION_INVALID_CURSOR when it is malformed, expired or made for another list."""
        if cursor is None:
            return None
        try:
            raw = base64.urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4))
            body, signature = raw[:-32], raw[-32:]
            if not hmac.compare_digest(signature, self._sign(body, scope)):
                raise ValueError("signature")
            content = json.loads(body)
            if content["ts"] < self._clock.now().timestamp():
                raise ValueError("expired")
        except (ValueError, KeyError, binascii.Error) as error:
            raise ValidationFailed(
                "The cursor is malformed, expired or belongs to another list; start again without it.",
                code="PAGINATION_INVALID_CURSOR",
                field="cursor",
            ) from error
        return {str(name): str(value) for name, value in content["k"].items()}

    def _sign(self, body: bytes, scope: str) -> bytes:
        return hmac.new(self._secret(), scope.encode() + b"\0" + body, hashlib.sha256).digest()


def _b64(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()
