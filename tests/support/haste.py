"""Short cuts around what moto and botocore do slowly, none of which changes an answer."""

import copy
from functools import cache
from typing import Any

import pytest
from botocore.loaders import Loader
from moto.core.models import DEFAULT_ACCOUNT_ID
from moto.core.serialize import AttributePicker, AttributePickerContext
from moto.core.utils import method_names_from_class
from moto.dynamodb.models import dynamodb_backends

from tests.support.tables import TABLES, create_tables

_ATTRIBUTE_VALUE = frozenset({"S", "N", "B", "SS", "NS", "BS", "M", "L", "NULL", "BOOL"})
_pick = AttributePicker.__call__
_names_of = cache(method_names_from_class)
_empty_tables: dict[tuple[str, str], Any] = {}


def make_haste(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("botocore.session.create_loader", _loader)
    monkeypatch.setattr("moto.core.responses.method_names_from_class", _names_of)
    monkeypatch.setattr(AttributePicker, "__call__", _pick_fast)


def place_tables(client: Any, *names: str) -> None:
    """``create_tables`` in moto: what it made for the first is copied for everybody else."""
    region = client.meta.region_name
    tables = dynamodb_backends[DEFAULT_ACCOUNT_ID][region].tables
    for name in names or TABLES:
        if (region, name) not in _empty_tables:
            create_tables(client, name)
            _empty_tables[region, name] = copy.deepcopy(tables[name])
        else:
            tables[name] = copy.deepcopy(_empty_tables[region, name])


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
