"""Reading a manifest's tables: every refusal names the place as a JSON pointer and says what to write instead."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from enum import StrEnum
from typing import Any, TypeVar

from gpupool.errors import ValidationFailed

_MAX_TEXT_BYTES = 1_000
_MAX_TEXTS = 100
_MAX_LISTED = 12
_MAX_COMPARED = 100

Word = TypeVar("Word", bound=StrEnum)
Value = TypeVar("Value")


def refusal(pointer: str, message: str, *, code: str = "MANIFEST_INVALID") -> ValidationFailed:
    """A refusal of the manifest at ``pointer``; "" is the file as a whole."""
    return ValidationFailed(f"gpu-agent.toml: {message}", code=code, field=pointer)


def pointed(pointer: str, key: str | int) -> str:
    """The JSON pointer one step below ``pointer``, escaped as RFC 6901 asks."""
    return f"{pointer}/{str(key).replace('~', '~0').replace('/', '~1')}"


def shown(text: str) -> str:
    """A stranger's text as it may stand in a sentence: quoted, escaped and short."""
    return repr(text if len(text) <= 80 else f"{text[:77]}...")


def listed(names: Collection[str]) -> str:
    """Names for a sentence, cut after the first few."""
    ordered = sorted(names)
    rest = len(ordered) - _MAX_LISTED
    return ", ".join(shown(name) for name in ordered[:_MAX_LISTED]) + (f" and {rest} more" if rest > 0 else "")


def advice(name: str, known: Collection[str]) -> str:
    """What to write instead of the unknown ``name``."""
    near = get_close_matches(name[:100], sorted(known)[:_MAX_COMPARED], n=1)
    if near:
        return f"Did you mean {shown(near[0])}?"
    return f"Known are: {listed(known)}." if known else "There is none."


def type_name(value: object) -> str:
    """TOML's and JSON's types in plain words."""
    words = {bool: "true/false", str: "text", int: "a whole number", float: "a number", dict: "a table", list: "a list"}
    return words.get(type(value), "a date or time")


def text_problem(text: str) -> str | None:
    """Why ``text`` cannot become a command-line argument, if it cannot."""
    try:
        size = len(text.encode())
    except UnicodeEncodeError:
        return "must be valid Unicode text"
    if "\0" in text:
        return "must not hold a NUL character"
    return None if size <= _MAX_TEXT_BYTES else f"must be at most {_MAX_TEXT_BYTES} bytes long"


@dataclass(frozen=True, slots=True)
class Table:
    """One TOML table and where it stands. Readers answer None for an absent key and refuse a wrong type."""

    values: Mapping[str, Any]
    pointer: str = ""
    title: str = ""

    def at(self, key: str) -> str:
        return pointed(self.pointer, key)

    def refuse(self, key: str, message: str) -> ValidationFailed:
        """A refusal of one key; ``message`` continues "<table>: <key> ..."."""
        place = f"{self.title}: " if self.title else ""
        return refusal(self.at(key), f"{place}{shown(key)} {message}")

    def only(self, *known: str) -> None:
        """Refuses the first key that is not ``known``: a misspelt key would otherwise be ignored in silence."""
        for key in self.values:
            if key not in known:
                raise self.refuse(key, f"is not a key here. {advice(key, known)}")

    def required(self, key: str, value: Value | None, example: str) -> Value:
        """``value``, or a refusal that shows how to write the missing ``key``."""
        if value is None:
            raise self.refuse(key, f"is missing; write for example: {example}")
        return value

    def typed(self, key: str, kind: type[Value], wanted: str) -> Value | None:
        value = self.values.get(key)
        if value is None or type(value) is kind:
            return value
        raise self.refuse(key, f"must be {wanted}, not {type_name(value)}.")

    def text(self, key: str) -> str | None:
        value = self.typed(key, str, "text")
        if value is not None:
            self._check_text(key, value)
        return value

    def word(self, key: str, words: type[Word]) -> Word | None:
        value = self.text(key)
        if value is None:
            return None
        known = [word.value for word in words]
        if value not in known:
            raise self.refuse(key, f"cannot be {shown(value)}. {advice(value, known)}")
        return words(value)

    def whole(self, key: str, low: int, high: int) -> int | None:
        value = self.typed(key, int, "a whole number")
        if value is not None and not low <= value <= high:
            raise self.refuse(key, f"must be between {low} and {high}.")
        return value

    def texts(self, key: str, *, most: int = _MAX_TEXTS) -> tuple[str, ...]:
        values = self.typed(key, list, "a list of texts") or []
        if len(values) > most:
            raise self.refuse(key, f"may hold at most {most} texts.")
        for index, value in enumerate(values):
            if not isinstance(value, str):
                where = pointed(self.at(key), index)
                raise refusal(where, f"{self.title}: {shown(key)} must hold texts only, not {type_name(value)}.")
            self._check_text(key, value)
        return tuple(values)

    def file(self, key: str, names: Collection[str]) -> str | None:
        """A path inside the package, spelt exactly as in the zip."""
        value = self.text(key)
        if value is not None and (value not in names or value.endswith("/")):
            raise self.refuse(key, f"names {shown(value)}, which is not in the package. {advice(value, names)}")
        return value

    def script(self, key: str, names: Collection[str]) -> str | None:
        """A Python file inside the package."""
        value = self.file(key, names)
        if value is not None and not value.endswith(".py"):
            raise self.refuse(key, f"must name a Python file (.py), not {shown(value)}.")
        return value

    def table(self, key: str) -> "Table | None":
        values = self.typed(key, dict, f"a table; write [{key}]")
        return None if values is None else Table(values, self.at(key), f"[{key}]")

    def tables(self, key: str) -> "tuple[Table, ...] | None":
        values = self.typed(key, list, f"a list of tables; write [[{key}]]")
        if values is None:
            return None
        if not all(isinstance(value, dict) for value in values):
            raise self.refuse(key, "must hold tables only.")
        return tuple(Table(value, pointed(self.at(key), at), f"[[{key}]] {at}") for at, value in enumerate(values))

    def _check_text(self, key: str, value: str) -> None:
        problem = text_problem(value) if value else "must not be empty"
        if problem:
            raise self.refuse(key, f"{problem}.")
