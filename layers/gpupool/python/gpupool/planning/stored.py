"""A manifest as plain JSON values, for the rows of packages and jobs.

Storage has one number type and hands 1.0 back as 1. ``float_parameters`` names the parameters that are floats, so that a
manifest comes back exactly as it was read.
"""

from collections.abc import Mapping
from dataclasses import fields
from typing import Any

from gpupool.planning.model import Goal, Manifest, ManifestUnit, Strategy
from gpupool.planning.parameters import float_names, with_floats
from gpupool.wire.vocabulary import UnitKind

_FLOATS = "float_parameters"


def floats_of(manifest: Manifest) -> frozenset[str]:
    """The parameters that hold a float anywhere in the manifest."""
    return float_names([manifest.parameters, *manifest.parameter_sets, *(unit.parameters for unit in manifest.units)])


def manifest_to_dict(manifest: Manifest) -> dict[str, Any]:
    """Text, numbers, booleans, lists and string-keyed dictionaries only; what is None is left out."""
    row = _plain(manifest)
    row["parameter_sets"] = [dict(each) for each in manifest.parameter_sets]
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
        parameter_sets=tuple(with_floats(each, floats) for each in row["parameter_sets"]),
        units=tuple(_unit(each, floats) for each in row["units"]),
    )


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
