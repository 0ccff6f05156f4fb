"""Short cuts around what moto and botocore do slowly, none of which changes an answer."""

from functools import cache
from typing import Any

import pytest
from botocore.loaders import Loader
from moto.core.serialize import AttributePicker, AttributePickerContext

_ATTRIBUTE_VALUE = frozenset({"S", "N", "B", "SS", "NS", "BS", "M", "L", "NULL", "BOOL"})
_pick = AttributePicker.__call__


def make_haste(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("botocore.session.create_loader", _loader)
    monkeypatch.setattr(AttributePicker, "__call__", _pick_fast)


@cache
def _loader(search_path_string: str | None = None) -> Loader:
    """Models of services are read once per process, not once per client."""
    return Loader() if search_path_string is None else Loader(search_path_string.split(":"))


def _pick_fast(self: AttributePicker, context: AttributePickerContext) -> Any:
    """moto looks for ten members of every attribute value under all of their aliases; it has one, under its own name."""
    found = context.obj
    if type(found) is dict and len(found) == 1 and not _ATTRIBUTE_VALUE.isdisjoint(found) and context.key in _ATTRIBUTE_VALUE:
        return found.get(context.key)
    return _pick(self, context)
