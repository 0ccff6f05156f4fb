"""EventBridge patterns, which event source mappings filter by as well; only what the template uses."""

from typing import Any


class Pattern:
    """Matches an event when every leaf of the pattern does."""

    def __init__(self, body: dict[str, Any]) -> None:
        self._body = body

    def matches(self, event: dict[str, Any]) -> bool:
        return _matches(self._body, event)


def _matches(wanted: dict[str, Any], found: Any) -> bool:
    if not isinstance(found, dict):
        return not any(_demands(rule) for rule in wanted.values())
    for name, rule in wanted.items():
        if isinstance(rule, dict):
            if not _matches(rule, found.get(name)):
                return False
        elif not any(_fits(each, name, found) for each in rule):
            return False
    return True


def _demands(rule: Any) -> bool:
    """Whether an absent attribute fails the rule."""
    return True if isinstance(rule, dict) else {"exists": False} not in rule


def _fits(rule: Any, name: str, found: dict[str, Any]) -> bool:
    if not isinstance(rule, dict):
        return name in found and found[name] == rule
    if set(rule) == {"exists"}:
        return (name in found) is rule["exists"]
    if set(rule) == {"prefix"}:
        return str(found.get(name, "")).startswith(rule["prefix"])
    if set(rule) == {"anything-but"}:
        return name in found and found[name] not in rule["anything-but"]
    raise NotImplementedError(f"a pattern with {sorted(rule)}; teach tests/cloud/patterns.py")
