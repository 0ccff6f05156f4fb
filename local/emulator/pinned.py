"""The one emulator version these patches were read against, and the two ways they change it."""

import functools
from collections.abc import Callable
from importlib.metadata import version
from typing import Any

EMULATOR_VERSION = "1.5.33"


class EmulatorMismatchError(RuntimeError):
    """The emulator is not the version, or not the source, that a patch was written for."""


def require_pinned() -> None:
    """Raise unless the pinned emulator is installed: a patch of private code must never meet another version."""
    found = version("ministack")
    if found != EMULATOR_VERSION:
        raise EmulatorMismatchError(f"the patches are for ministack {EMULATOR_VERSION}, this is {found}")


def replace_once(source: str, *, old: str, new: str) -> str:
    """`source` with its single occurrence of `old` replaced; anything but one occurrence raises."""
    if source.count(old) != 1:
        raise EmulatorMismatchError(f"expected exactly one occurrence of: {old}")
    return source.replace(old, new)


def wrap(owner: Any, name: str, around: Callable[..., Any]) -> None:
    """Replace `owner.name` by `around`, which is handed what it replaces as its first argument.

    Wrapping happens when a patch is applied, so two patches of one function nest in the order of application.
    """
    original = getattr(owner, name)

    @functools.wraps(original)
    def wrapped(*args: Any, **kwargs: Any) -> Any:
        return around(original, *args, **kwargs)

    setattr(owner, name, wrapped)
