"""The mutants of a module: where one can be made, what it is called, and its compiled program."""

import ast
import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice
from types import CodeType
from typing import Any

from bench.mutants.operators import Variant, variants
from local.layout import REPO_ROOT

PACKAGE = REPO_ROOT / "layers" / "gpupool" / "python" / "gpupool"
_SHOWN = 110
_SKIPPED_FIELDS = frozenset({"annotation", "returns", "decorator_list", "bases", "keywords", "ctx", "type_comment"})


@dataclass(frozen=True, slots=True)
class Mutant:
    """``function``: the outermost function it is in; empty at the module's level. ``place`` and ``number`` find it again."""

    path: str
    place: int
    number: int
    line: int
    function: str
    operator: str
    before: str
    after: str
    source: str

    @property
    def module(self) -> str:
        return "gpupool." + self.path.removesuffix(".py").replace("/", ".")

    @property
    def key(self) -> str:
        """Changes with the module's text, so that no verdict outlives the code that it was about."""
        return f"{self.path}:{self.place}:{self.number}:{self.source}"

    def __str__(self) -> str:
        return f"{self.path}:{self.line} {self.operator}: {self.before}  ->  {self.after}"


@dataclass(frozen=True, slots=True)
class _Place:
    parent: ast.AST
    name: str
    index: int | None
    node: ast.AST
    function: str


def mutants_of(path: str) -> Iterator[Mutant]:
    text = (PACKAGE / path).read_text()
    source = hashlib.sha256(text.encode()).hexdigest()[:12]
    for place, found in enumerate(_places(ast.parse(text))):
        for number, (operator, changed) in enumerate(_variants(found)):
            before, after = _shown(found.node, changed)
            yield Mutant(path, place, number, _line(found), found.function, operator, before, after, source)


def compiled(mutant: Mutant) -> CodeType:
    """The module's program with the one mistake in it."""
    tree = ast.parse((PACKAGE / mutant.path).read_text())
    found = next(islice(_places(tree), mutant.place, None))
    _, changed = next(islice(_variants(found), mutant.number, None))
    if isinstance(changed, ast.stmt | ast.expr):
        ast.copy_location(changed, found.node)
    if found.index is None:
        setattr(found.parent, found.name, changed)
    else:
        getattr(found.parent, found.name)[found.index] = changed
    ast.fix_missing_locations(tree)
    return compile(tree, str(PACKAGE / mutant.path), "exec")


def _variants(found: _Place) -> Iterator[Variant]:
    if isinstance(found.node, ast.Constant) and isinstance(found.parent, ast.List):
        return iter(())  # parts of an update, which look like conditions
    return variants(found.node)


def _places(tree: ast.Module) -> Iterator[_Place]:
    yield from _below(tree, "", inside=False)


def _below(parent: ast.AST, qualified: str, *, inside: bool) -> Iterator[_Place]:
    for name, value in ast.iter_fields(parent):
        if _is_skipped(parent, name):
            continue
        for index, node in enumerate(value) if isinstance(value, list) else ((None, value),):
            if isinstance(node, ast.AST) and not _is_left_alone(node):
                yield _Place(parent, name, index, node, qualified if inside else "")
                yield from _into(node, qualified, inside=inside)


def _into(node: ast.AST, qualified: str, *, inside: bool) -> Iterator[_Place]:
    if isinstance(node, ast.ClassDef) and not inside:
        yield from _below(node, f"{qualified}{node.name}.", inside=False)
    elif isinstance(node, ast.FunctionDef) and not inside:
        # Defaults are evaluated where the function is defined, not in it.
        yield from _below(node.args, "", inside=False)
        yield from _body(node, f"{qualified}{node.name}")
    else:
        yield from _below(node, qualified, inside=inside)


def _body(function: ast.FunctionDef, qualified: str) -> Iterator[_Place]:
    for index, node in enumerate(function.body):
        if not _is_left_alone(node):
            yield _Place(function, "body", index, node, qualified)
            yield from _into(node, qualified, inside=True)


def _is_skipped(parent: ast.AST, name: str) -> bool:
    if isinstance(parent, ast.Call) and name == "keywords":
        return False
    if isinstance(parent, ast.Raise):
        return True
    return name in _SKIPPED_FIELDS


def _is_left_alone(node: ast.AST) -> bool:
    if isinstance(node, ast.Import | ast.ImportFrom):
        return True
    if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant):
        return True
    return isinstance(node, ast.If) and isinstance(node.test, ast.Name) and node.test.id == "TYPE_CHECKING"


def _line(found: _Place) -> int:
    for node in (found.node, found.parent):
        if hasattr(node, "lineno"):
            return int(node.lineno)
    target: Any = getattr(found.node, "target", None)
    return int(getattr(target, "lineno", 0))


def _shown(before: ast.AST, after: ast.AST) -> tuple[str, str]:
    first, second = _text(before), _text(after)
    if len(first) > _SHOWN or len(second) > _SHOWN:
        # The part that differs, with a little of what is around it.
        start = next((at for at, pair in enumerate(zip(first, second, strict=False)) if pair[0] != pair[1]), 0)
        start = max(0, start - _SHOWN // 3)
        first, second = first[start : start + _SHOWN], second[start : start + _SHOWN]
    return first, second


def _text(node: ast.AST) -> str:
    if isinstance(node, ast.If):
        return f"if {ast.unparse(ast.fix_missing_locations(node.test))}: ..."
    return " ".join(ast.unparse(ast.fix_missing_locations(node)).split())
