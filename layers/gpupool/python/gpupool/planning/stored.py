"""A manifest as plain JSON values, for the rows of packages.

Storage has one number type and hands 1.0 back as 1. ``float_parameters`` names the parameters that are floats, so that a
manifest comes back exactly as it was read.
"""

from collections.abc import Iterable, Mapping
from dataclasses import fields
from typing import Any

from gpupool.planning.model import Column, Goal, Manifest, ManifestUnit, ParameterSets, Strategy
from gpupool.planning.parameters import float_names, with_floats
from gpupool.units.model import ParameterValue
from gpupool.wire.vocabulary import UnitKind

_FLOATS = "float_parameters"


def floats_of(manifest: Manifest) -> frozenset[str]:
    """The parameters that hold a float anywhere in the manifest."""
    sets = manifest.parameter_sets
    cells = ({column.name: value} for column in sets.grid for value in column.values)
    return float_names([manifest.parameters, *cells, *sets.listed, *(unit.parameters for unit in manifest.units)])


def sets_with_floats(sets: ParameterSets, floats: frozenset[str]) -> ParameterSets:
    """``sets`` with whole numbers made floats where the name is in ``floats``."""
    return ParameterSets(
        grid=tuple(_column(each.name, each.values, floats) for each in sets.grid),
        listed=tuple(with_floats(each, floats) for each in sets.listed),
    )


def manifest_to_dict(manifest: Manifest) -> dict[str, Any]:
    """Text, numbers, booleans, lists and string-keyed dictionaries only; what is None is left out."""
    row = _plain(manifest)
    # Columns in a list: their order decides which set is the n-th, and a stored dictionary has none.
    row["grid"] = [{"name": column.name, "values": list(column.values)} for column in manifest.parameter_sets.grid]
    row["parameter_sets"] = [dict(each) for each in manifest.parameter_sets.listed]
    row["units"] = [_plain(unit) for unit in manifest.units]
    row[_FLOATS] = sorted(floats_of(manifest))
    return row


def manifest_from_dict(row: Mapping[str, Any]) -> Manifest:
    """The manifest that ``manifest_to_dict`` wrote. Keys that it does not know are left for a newer reader."""
    floats = frozenset(row[_FLOATS])
    return Manifest(
        strategy=Strategy(row["strategy"]),
        entry=row.get("entry"),
        requirements=row.get("requirements"),
        parameters=with_floats(row["parameters"], floats),
        train_args=tuple(row["train_args"]),
        evaluate_entry=row.get("evaluate_entry"),
        objective=row.get("objective"),
        goal=Goal(row["goal"]) if "goal" in row else None,
        parameter_sets=ParameterSets(
            grid=tuple(_column(each["name"], each["values"], floats) for each in row.get("grid", ())),
            listed=tuple(with_floats(each, floats) for each in row["parameter_sets"]),
        ),
        units=tuple(_unit(each, floats) for each in row["units"]),
    )


def _column(name: str, values: Iterable[ParameterValue], floats: frozenset[str]) -> Column:
    return Column(name, tuple(with_floats({name: value}, floats)[name] for value in values))


def _unit(row: Mapping[str, Any], floats: frozenset[str]) -> ManifestUnit:
    return ManifestUnit(
        name=row["name"],
        entry=row["entry"],
        kind=UnitKind(row["kind"]),
        needs=tuple(row["needs"]),
        parameters=with_floats(row["parameters"], floats),
        required_vram_mb=row.get("required_vram_mb"),
        required_disk_mb=row.get("required_disk_mb"),
        max_runtime_seconds=row.get("max_runtime_seconds"),
    )


def _plain(thing: Manifest | ManifestUnit) -> dict[str, Any]:
    values = {each.name: getattr(thing, each.name) for each in fields(thing)}
    return {name: _json(value) for name, value in values.items() if value is not None}


def _json(value: Any) -> Any:
    if isinstance(value, tuple):
        return list(value)
    if isinstance(value, dict):
        return dict(value)
    return str(value) if isinstance(value, str) else value
