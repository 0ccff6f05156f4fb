"""Hyper-parameters: names, scalar values, one numeric type per name, and a job's overrides."""

import json
import math
import re
from collections.abc import Iterable, Mapping
from typing import Any

from gpupool.errors import ValidationFailed
from gpupool.planning.limits import MAX_PARAMETERS_BYTES
from gpupool.planning.tables import Table, advice, pointed, refusal, shown, text_problem, type_name
from gpupool.units.model import ParameterValue

Parameters = dict[str, ParameterValue]

NAME = re.compile(r"[A-Za-z][A-Za-z0-9_-]{0,63}")
NAME_RULE = "must start with a letter and hold at most 64 letters, digits, '_' and '-'"
MAX_PARAMETERS = 100
_TOO_LONG = f"takes more than {MAX_PARAMETERS_BYTES} bytes written out; use fewer or shorter parameters"
_WHOLE_LIMIT = 2**63
# Storage keeps numbers as decimals with a bounded exponent.
_LARGEST, _SMALLEST = 1e100, 1e-100


def value_problem(value: object) -> str | None:
    """Why ``value`` cannot be a parameter, if it cannot."""
    if isinstance(value, bool):
        return None
    if isinstance(value, int):
        return None if -_WHOLE_LIMIT <= value < _WHOLE_LIMIT else "must fit into 64 bits"
    if isinstance(value, float):
        fits = math.isfinite(value) and (value == 0 or _SMALLEST <= abs(value) <= _LARGEST)
        return None if fits else "must be a finite number between 1e-100 and 1e100 in size"
    if isinstance(value, str):
        return text_problem(value)
    return f"must be text, a number or true/false, not {type_name(value)}"


def read_parameters(table: Table | None, defaults: Mapping[str, ParameterValue] | None = None) -> Parameters:
    """A table of parameters, in the order in which they are written; none may contradict the type of its default."""
    if table is None:
        return {}
    if len(table.values) > MAX_PARAMETERS:
        raise refusal(table.pointer, f"{table.title} may hold at most {MAX_PARAMETERS} parameters.")
    for name, value in table.values.items():
        problem = _name_problem(name) or value_problem(value) or _kind_problem(value, (defaults or {}).get(name, value))
        if problem:
            raise table.refuse(name, f"{problem}.")
    found = {name: _without_negative_zero(value) for name, value in table.values.items()}
    if written_bytes(found) > MAX_PARAMETERS_BYTES:
        raise refusal(table.pointer, f"{table.title} {_TOO_LONG}.")
    return found


def written_bytes(value: object) -> int:
    """How much ``value`` takes as JSON. A row's own encoding takes no more."""
    return len(json.dumps(value, ensure_ascii=False).encode())


def float_names(groups: Iterable[Mapping[str, ParameterValue]]) -> frozenset[str]:
    """The names that hold a float anywhere in ``groups``."""
    return frozenset(name for group in groups for name, value in group.items() if isinstance(value, float))


def with_floats(parameters: Mapping[str, ParameterValue], floats: frozenset[str]) -> Parameters:
    """``parameters`` with whole numbers made floats where the name is in ``floats``."""
    return {name: _as_float(value) if name in floats else value for name, value in parameters.items()}


def override(defaults: Mapping[str, ParameterValue], wishes: Mapping[str, Any]) -> Parameters:
    """The parameters of a job: ``defaults`` with the job's ``wishes``, which may only name and retype what is there."""
    for name, value in wishes.items():
        field = pointed("/parameters", name)
        if name not in defaults:
            message = f"The package has no parameter {shown(name)}. {advice(name, defaults)}"
            raise ValidationFailed(message, code="UNKNOWN_PARAMETER", field=field, details={"known": sorted(defaults)})
        problem = value_problem(value) or _type_problem(value, defaults[name])
        if problem:
            raise ValidationFailed(f"The parameter {shown(name)} {problem}.", field=field)
    floats = float_names([defaults])
    settled = {name: _without_negative_zero(value) for name, value in with_floats({**defaults, **wishes}, floats).items()}
    if written_bytes(settled) > MAX_PARAMETERS_BYTES:
        message = f"Together with the package's [parameters] this {_TOO_LONG}."
        raise ValidationFailed(message, field="/parameters")
    return settled


def merged(*groups: Mapping[str, ParameterValue]) -> Parameters:
    """Later groups win. Sorted by name, so that equal plans are equal to the letter."""
    together = {name: value for group in groups for name, value in group.items()}
    return dict(sorted(together.items()))


def _name_problem(name: str) -> str | None:
    return None if NAME.fullmatch(name) else f"is no parameter name: it {NAME_RULE}"


def _type_problem(value: ParameterValue, default: ParameterValue) -> str | None:
    """Why ``value`` cannot stand for ``default``, if it cannot; a whole number may stand for a float."""
    if type(value) is type(default) or (type(value) is int and type(default) is float):
        return None
    return f"must be {type_name(default)}, as its default in [parameters], not {type_name(value)}"


def _kind_problem(value: ParameterValue, default: ParameterValue) -> str | None:
    """As ``_type_problem``, but any number may stand for any: within a manifest they become floats together."""
    numbers = type(value) in (int, float) and type(default) in (int, float)
    return None if numbers else _type_problem(value, default)


def _as_float(value: ParameterValue) -> ParameterValue:
    return float(value) if type(value) is int else value


def _without_negative_zero(value: ParameterValue) -> ParameterValue:
    """Storage knows one zero only."""
    return 0.0 if isinstance(value, float) and value == 0 else value
