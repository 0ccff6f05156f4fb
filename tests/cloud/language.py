"""The part of the Amazon States Language about data: paths, payload templates and choices."""

import re
from typing import Any

Json = Any
_CALL = re.compile(r"States\.(\w+)\((.*)\)", re.DOTALL)


def read(path: str, data: Json, context: Json) -> Json:
    """The value at a reference path; KeyError when there is none."""
    if path.startswith("States."):
        return _computed(path, data, context)
    source, rest = (context, path[2:]) if path.startswith("$$") else (data, path[1:])
    for name in [part for part in rest.split(".") if part]:
        key, _, index = name.partition("[")
        source = source[key] if key else source
        if index:
            source = source[int(index.removesuffix("]"))]
    return source


def has(path: str, data: Json, context: Json) -> bool:
    try:
        read(path, data, context)
    except (KeyError, IndexError, TypeError):
        return False
    return True


def shaped(template: Json, data: Json, context: Json) -> Json:
    """A payload template, filled in."""
    if isinstance(template, list):
        return [shaped(each, data, context) for each in template]
    if not isinstance(template, dict):
        return template
    return {
        name.removesuffix(".$"): read(value, data, context) if name.endswith(".$") else shaped(value, data, context)
        for name, value in template.items()
    }


def put(data: Json, path: str | None, result: Json) -> Json:
    """The state's input with its result at ``path``; None throws the result away."""
    if path is None:
        return data
    if path == "$":
        return result
    names = path.removeprefix("$.").split(".")
    whole = dict(data)
    inner = whole
    for name in names[:-1]:
        inner[name] = dict(inner.get(name, {}))
        inner = inner[name]
    inner[names[-1]] = result
    return whole


def choose(state: Json, data: Json, context: Json) -> str:
    """Where a Choice leads."""
    found = next((rule["Next"] for rule in state["Choices"] if _holds(rule, data, context)), state.get("Default"))
    if found is None:
        raise LookupError("States.NoChoiceMatched")
    return str(found)


_COMPARISONS = {
    "Equals": lambda found, wanted: found == wanted,
    "LessThan": lambda found, wanted: found < wanted,
    "LessThanEquals": lambda found, wanted: found <= wanted,
    "GreaterThan": lambda found, wanted: found > wanted,
    "GreaterThanEquals": lambda found, wanted: found >= wanted,
}
_KINDS = {"String": str, "Numeric": (int, float), "Boolean": bool, "Timestamp": str}


def _holds(rule: Json, data: Json, context: Json) -> bool:
    if "And" in rule:
        return all(_holds(each, data, context) for each in rule["And"])
    if "Or" in rule:
        return any(_holds(each, data, context) for each in rule["Or"])
    if "Not" in rule:
        return not _holds(rule["Not"], data, context)
    variable = rule["Variable"]
    (test,) = [name for name in rule if name not in ("Variable", "Next", "Comment")]
    if test == "IsPresent":
        return has(variable, data, context) is rule[test]
    found = read(variable, data, context)
    if test == "IsNull":
        return (found is None) is rule[test]
    return _compares(test, found, rule[test], data, context)


def _compares(test: str, found: Json, wanted: Json, data: Json, context: Json) -> bool:
    if test.endswith("Path"):
        test, wanted = test.removesuffix("Path"), read(wanted, data, context)
    kind = next((kind for kind in _KINDS if test.startswith(kind)), None)
    if kind is None or test.removeprefix(kind) not in _COMPARISONS:
        raise NotImplementedError(f"a choice by {test}; teach tests/cloud/language.py")
    return isinstance(found, _KINDS[kind]) and _COMPARISONS[test.removeprefix(kind)](found, wanted)  # type: ignore[arg-type]


def _computed(text: str, data: Json, context: Json) -> Json:
    called = _CALL.fullmatch(text)
    if called is None:
        raise ValueError(f"{text} is no intrinsic function")
    name, arguments = called[1], [_argument(each.strip(), data, context) for each in _split(called[2])]
    if name == "Format":
        return re.sub(r"\{\}", lambda _match: str(arguments.pop(1)), arguments[0])
    if name == "MathAdd":
        return arguments[0] + arguments[1]
    raise NotImplementedError(f"States.{name}; teach tests/cloud/language.py")


def _argument(text: str, data: Json, context: Json) -> Json:
    if text.startswith("'"):
        return text.strip("'")
    return read(text, data, context) if text.startswith(("$", "States.")) else float(text) if "." in text else int(text)


def _split(text: str) -> list[str]:
    """Arguments at the outermost level; quoted text holds no quotes in our definitions."""
    parts, depth, quoted, start = [], 0, False, 0
    for at, letter in enumerate(text):
        quoted ^= letter == "'"
        depth += (letter == "(") - (letter == ")") if not quoted else 0
        if letter == "," and not depth and not quoted:
            parts.append(text[start:at])
            start = at + 1
    return [*parts, text[start:]]
