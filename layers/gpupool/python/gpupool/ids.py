"""Identifiers: time-ordered for things people list, derived for things that must not be created twice."""

from uuid6 import uuid7


def new_id() -> str:
    """A UUIDv7: its text order is its order of creation."""
    return str(uuid7())


def unit_id(job_id: str, index: int) -> str:
    """The id of a job's ``index``-th unit. Derived, so that planning twice names the same units."""
    return f"{job_id}.{index:05d}"


def job_of(unit_id: str) -> str:
    """The job that a unit id belongs to; the text before its last dot."""
    return unit_id.rpartition(".")[0]


def unit_of(artifact_id: str) -> str:
    """The unit that an artifact id belongs to; only the artifact's own name may hold more dots."""
    return ".".join(artifact_id.split(".", 2)[:2])


def artifact_id(unit_id: str, name: str) -> str:
    """The id of a unit's artifact ``name``: derived, so that it is nowhere kept, and prefixed by the unit, whose row names
    the file."""
    return f"{unit_id}.{name}"
