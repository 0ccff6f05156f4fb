"""Cursors: opaque, signed, bound to the list they were made for, and over after a day."""

import base64
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gpupool.clock import FixedClock
from gpupool.errors import ValidationFailed
from gpupool.pages import CURSOR_LIFETIME, Cursors

SCOPE = "customer-1/jobs/status=running"
KEY = {"job_id": "0190", "customer_id": "customer-1"}


def cursors(*, clock: FixedClock | None = None, secret: bytes = b"secret") -> Cursors:
    return Cursors(secret=lambda: secret, clock=clock or FixedClock())


def refused(made: Cursors, cursor: str, scope: str = SCOPE) -> ValidationFailed:
    with pytest.raises(ValidationFailed) as caught:
        made.decode(cursor, scope=scope)
    return caught.value


def test_a_cursor_leads_back_to_its_key() -> None:
    made = cursors()
    assert made.decode(made.encode(KEY, scope=SCOPE), scope=SCOPE) == KEY


def test_no_next_page_no_cursor() -> None:
    assert cursors().encode(None, scope=SCOPE) is None
    assert cursors().decode(None, scope=SCOPE) is None


@pytest.mark.parametrize(
    "scope", ["customer-2/jobs/status=running", "customer-1/units/status=running", "customer-1/jobs/status=failed", ""]
)
def test_a_cursor_is_of_no_use_to_another_tenant_list_or_filter(scope: str) -> None:
    refusal = refused(cursors(), cursors().encode(KEY, scope=SCOPE), scope)
    assert (refusal.status, refusal.code, refusal.details["field"]) == (400, "PAGINATION_INVALID_CURSOR", "cursor")


def test_a_cursor_of_another_deployment_is_refused() -> None:
    refused(cursors(secret=b"other"), cursors().encode(KEY, scope=SCOPE))


def test_scope_and_content_cannot_be_shifted_into_each_other() -> None:
    made = cursors()
    refused(made, made.encode(KEY, scope="a\0b"), "a")


def test_a_cursor_lasts_a_day() -> None:
    clock = FixedClock()
    made = cursors(clock=clock)
    cursor = made.encode(KEY, scope=SCOPE)
    clock.advance(CURSOR_LIFETIME.total_seconds())
    assert made.decode(cursor, scope=SCOPE) == KEY

    clock.advance(1)

    assert refused(made, cursor).code == "PAGINATION_INVALID_CURSOR"


def test_a_changed_key_is_refused() -> None:
    made = cursors()
    raw = base64.urlsafe_b64decode(made.encode(KEY, scope=SCOPE) + "==")
    content = json.loads(raw[:-32])
    content["k"]["customer_id"] = "customer-2"
    forged = base64.urlsafe_b64encode(json.dumps(content, separators=(",", ":")).encode() + raw[-32:]).decode()

    refused(made, forged.rstrip("="))


def test_a_cursor_fits_into_a_query_string() -> None:
    cursor = cursors().encode(KEY, scope=SCOPE)
    assert cursor.replace("-", "").replace("_", "").isalnum()


@given(st.text(max_size=200))
def test_any_text_is_refused_and_never_an_error_of_ours(text: str) -> None:
    assert refused(cursors(), text).code == "PAGINATION_INVALID_CURSOR"


@given(st.integers(0, 200), st.integers(1, 255))
def test_no_byte_can_be_changed(at: int, by: int) -> None:
    made = cursors()
    raw = bytearray(base64.urlsafe_b64decode(made.encode(KEY, scope=SCOPE) + "=="))
    raw[at % len(raw)] ^= by
    refused(made, base64.urlsafe_b64encode(bytes(raw)).decode().rstrip("="))
