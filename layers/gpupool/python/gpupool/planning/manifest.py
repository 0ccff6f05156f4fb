"""``gpu-agent.toml``: what a package says about itself, read once, when it is finalized."""

import tomllib
from collections.abc import Collection
from dataclasses import replace
from typing import Any

from gpupool.errors import ValidationFailed
from gpupool.planning.limits import MAX_DOTS_PER_LINE, MAX_MANIFEST_BYTES, MAX_STORED_BYTES
from gpupool.planning.model import Manifest, Strategy
from gpupool.planning.parameters import read_parameters, with_floats, written_bytes
from gpupool.planning.stored import floats_of, manifest_from_dict, manifest_to_dict, sets_with_floats
from gpupool.planning.strategies import STRATEGIES
from gpupool.planning.tables import Table, listed, refusal

__all__ = ["MANIFEST_NAME", "decode_manifest", "manifest_from_dict", "manifest_to_dict", "parse_manifest"]

MANIFEST_NAME = "gpu-agent.toml"
_REQUIREMENTS = "requirements.txt"
_COMMON = ("package", "parameters", "strategy")
_DEFAULT_ENTRIES = ("train.py", "main.py")


def parse_manifest(text: str | None, names: Collection[str]) -> Manifest:
    """The manifest of a package that holds the files ``names``; ``text`` is None when it has no ``gpu-agent.toml``.

    Raises ``ValidationFailed``: PACKAGE_NO_ENTRY without manifest and entry, else MANIFEST_INVALID or PLAN_CYCLIC with the
    place as a JSON pointer.
    """
    requirements = _REQUIREMENTS if _REQUIREMENTS in names else None
    if text is None:
        return Manifest(Strategy.SINGLE, _found_entry(names), requirements)
    document = Table(_toml(text))
    strategy = _strategy(document)
    _check_sections(document, strategy)
    package = document.table("package") or Table({})
    package.only("entry", "requirements")
    manifest = Manifest(
        strategy,
        entry=package.script("entry", names),
        requirements=package.file("requirements", names) or requirements,
        parameters=read_parameters(document.table("parameters")),
    )
    return _bounded(_one_type_per_name(STRATEGIES[strategy].read(document, manifest, names)))


def decode_manifest(raw: bytes) -> str:
    """The text of ``gpu-agent.toml``; TOML is always UTF-8."""
    try:
        return raw.decode()
    except UnicodeDecodeError as error:
        raise refusal("", f"byte {error.start} is not UTF-8; save the file as UTF-8.") from error


def _toml(text: str) -> dict[str, Any]:
    if len(text.encode(errors="replace")) > MAX_MANIFEST_BYTES:
        raise refusal("", f"the file is larger than {MAX_MANIFEST_BYTES} bytes; shorten it.")
    for number, line in enumerate(text.split("\n"), start=1):
        if line.count(".") > MAX_DOTS_PER_LINE:
            raise refusal("", f"line {number} holds more than {MAX_DOTS_PER_LINE} dots; break it into several lines.")
    try:
        return tomllib.loads(text)
    except ValueError as error:
        raise refusal("", f"this is not valid TOML: {str(error)[:200]}. Correct that place.") from error
    except RecursionError as error:
        raise refusal("", "its lists or tables are nested too deeply; a manifest needs three levels.") from error


def _found_entry(names: Collection[str]) -> str:
    """The entry of a package without manifest."""
    for name in _DEFAULT_ENTRIES:
        if name in names:
            return name
    scripts = [name for name in names if name.endswith(".py") and "/" not in name]
    if len(scripts) == 1:
        return scripts[0]
    advice = f"Add train.py, or a {MANIFEST_NAME} whose [package] names the entry"
    if scripts:
        found = f"Nothing tells which of {listed(scripts)} to run."
    elif any(name.endswith(".py") for name in names):
        found = "The Python files lie in a folder; zip the folder's content, not the folder."
    else:
        found = "The package holds no Python file."
    raise ValidationFailed(f"{found} {advice}.", code="PACKAGE_NO_ENTRY", field="/entry")


def _strategy(document: Table) -> Strategy:
    table = document.table("strategy") or Table({})
    table.only("kind")
    return table.word("kind", Strategy) or Strategy.SINGLE


def _check_sections(document: Table, strategy: Strategy) -> None:
    """A table of another strategy is refused, not ignored: its author expects it to act."""
    taken = {*_COMMON, *STRATEGIES[strategy].sections}
    for other, rules in STRATEGIES.items():
        for key in rules.sections - taken:
            if key in document.values:
                message = f"means nothing to the strategy '{strategy}'; remove it, or write [strategy] kind = \"{other}\"."
                raise document.refuse(key, message)
    document.only(*_COMMON, *sorted(STRATEGIES[strategy].sections))


def _one_type_per_name(manifest: Manifest) -> Manifest:
    """A parameter that is a float anywhere is a float everywhere."""
    floats = floats_of(manifest)
    return replace(
        manifest,
        parameters=with_floats(manifest.parameters, floats),
        parameter_sets=sets_with_floats(manifest.parameter_sets, floats),
        units=tuple(replace(unit, parameters=with_floats(unit.parameters, floats)) for unit in manifest.units),
    )


def _bounded(manifest: Manifest) -> Manifest:
    """The stored form travels in the row of a package."""
    if written_bytes(manifest_to_dict(manifest)) > MAX_STORED_BYTES:
        raise refusal("", f"it takes more than {MAX_STORED_BYTES} bytes written out; use fewer or shorter parameters.")
    return manifest
