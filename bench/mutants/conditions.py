"""Conditions that DynamoDB checks are text to Python. Here each conjunct is taken out of them, turned round or moved by one.

A conjunct ``C`` is taken out as ``(C OR NOT C)``: it is always true, and every name and value of the request stays in use, so
that the request is not refused for another reason than the condition.
"""

import ast
import re
from collections.abc import Iterator

_PLACES = frozenset({"ConditionExpression"})
# A key condition begins so. DynamoDB takes nothing but AND in it, so that of those only bounds are moved.
_KEYS = ("customer_id = :customer", "job_id = :job")
_CONJUNCT = re.compile(r"attribute_(not_)?exists\(\S+\)|\S+ (=|>=|<=|>|<) :\S+|\S+ BETWEEN :\S+ AND :\S+")
_BOUNDS = {">=": ">", "=": "<>", "<=": "<", ">": ">=", "<": "<="}
_WHOLE = 'lambda every: f"(({every}) OR NOT ({every}))"'


def text_variants(text: str) -> Iterator[tuple[str, str]]:
    """What a constant of the program becomes, when it is a condition."""
    conjuncts = conjuncts_of(text)
    of_a_key = text.startswith(_KEYS)
    for number, conjunct in enumerate(conjuncts):
        if of_a_key and number == 0:
            continue
        for operator, changed in _bounds(conjunct) if of_a_key else _changes(conjunct):
            yield operator, " AND ".join((*conjuncts[:number], changed, *conjuncts[number + 1 :]))


def conjuncts_of(text: str) -> tuple[str, ...]:
    """Empty for text that is no condition."""
    found = [part.replace("\0", " AND ") for part in re.sub(r"(BETWEEN :\S+) AND ", "\\1\0", text).split(" AND ")]
    return tuple(found) if all(_CONJUNCT.fullmatch(part) for part in found) else ()


def _changes(conjunct: str) -> Iterator[tuple[str, str]]:
    yield "condition removed", f"({conjunct} OR NOT {conjunct})"
    yield "condition negated", f"(NOT {conjunct})"
    yield from _bounds(conjunct)


def _bounds(conjunct: str) -> Iterator[tuple[str, str]]:
    name, _, rest = conjunct.partition(" ")
    bound, _, value = rest.partition(" ")
    if bound in _BOUNDS:
        yield "bound moved", f"{name} {_BOUNDS[bound]} {value}"


def place_variants(node: ast.AST) -> Iterator[tuple[str, ast.AST]]:
    """A call, a literal or an assignment whose condition is computed or has a name: all of it always true."""
    if isinstance(node, ast.keyword) and node.arg in _PLACES and not _is_one(node.value):
        yield "condition removed", ast.keyword(node.arg, _always(node.value))
    elif isinstance(node, ast.Dict):
        for number, key in enumerate(node.keys):
            if isinstance(key, ast.Constant) and key.value in _PLACES and not _is_one(node.values[number]):
                values = [*node.values[:number], _always(node.values[number]), *node.values[number + 1 :]]
                yield "condition removed", ast.Dict(node.keys, values)
    elif isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Subscript):
        key = node.targets[0].slice
        if isinstance(key, ast.Constant) and key.value in _PLACES:
            yield "condition removed", ast.Assign(node.targets, _always(node.value))


def _is_one(condition: ast.expr) -> bool:
    """Whether it is a constant of one conjunct, which ``text_variants`` takes out."""
    return isinstance(condition, ast.Constant) and " AND " not in str(condition.value)


def _always(condition: ast.expr) -> ast.expr:
    return ast.Call(ast.parse(_WHOLE, mode="eval").body, [condition], [])
