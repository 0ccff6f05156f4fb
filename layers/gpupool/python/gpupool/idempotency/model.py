"""Idempotency records."""

import hashlib
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from gpupool.errors import ValidationFailed

LIFETIME = timedelta(hours=24)
_FORMAT = re.compile(r"[A-Za-z0-9_-]{8,128}")


@dataclass(frozen=True, slots=True)
class IdempotencyRecord:
    """``id`` names tenant, route and key; ``fingerprint`` is of the request, ``resource_id`` of what it created."""

    id: str
    fingerprint: str
    resource_id: str
    created_at: datetime

    @property
    def expires_at(self) -> datetime:
        """A whole second, as the table keeps it: whoever reads and whoever writes must mean the same moment."""
        return (self.created_at + LIFETIME).replace(microsecond=0)


def record_id(*, customer_id: str, route: str, key: str) -> str:
    """Keys are scoped to tenant and route: the same key elsewhere means nothing."""
    return f"{customer_id}#{route}#{key}"


def check_format(key: str) -> str:
    """IDEMPOTENCY_KEY_INVALID unless 8-128 letters, digits, ``-`` or ``_``."""
    if not _FORMAT.fullmatch(key):
        raise ValidationFailed(
            "Idempotency-Key must be 8 to 128 letters, digits, '-' or '_'; a UUID is a good choice.",
            code="IDEMPOTENCY_KEY_INVALID",
            field="Idempotency-Key",
        )
    return key


def fingerprint(request: Mapping[str, Any]) -> str:
    """SHA-256 of the normalised request, so that spelling and key order do not matter."""
    return hashlib.sha256(json.dumps(request, sort_keys=True, separators=(",", ":"), default=str).encode()).hexdigest()
