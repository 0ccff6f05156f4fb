"""What may be done to one node of a program: each variant is one small mistake that somebody could make.

Never touched: annotations, decorators, docstrings, imports, and the text of messages. No promise is about them.
"""

import ast
from collections.abc import Callable, Iterator
from typing import Any

from bench.mutants.conditions import place_variants, text_variants

Variant = tuple[str, ast.AST]

_COMPARED: dict[type[ast.cmpop], tuple[type[ast.cmpop], ...]] = {
    ast.Lt: (ast.LtE, ast.GtE),
    ast.LtE: (ast.Lt, ast.Gt),
    ast.Gt: (ast.GtE, ast.LtE),
    ast.GtE: (ast.Gt, ast.Lt),
    ast.Eq: (ast.NotEq,),
    ast.NotEq: (ast.Eq,),
    ast.Is: (ast.IsNot,),
    ast.IsNot: (ast.Is,),
    ast.In: (ast.NotIn,),
    ast.NotIn: (ast.In,),
}
_COMPUTED: dict[type[ast.operator], type[ast.operator]] = {
    ast.Add: ast.Sub,
    ast.Sub: ast.Add,
    ast.Mult: ast.FloorDiv,
    ast.FloorDiv: ast.Mult,
    ast.Div: ast.Mult,
    ast.BitOr: ast.BitAnd,
    ast.BitAnd: ast.BitOr,
}
_CALLED = {"min": "max", "max": "min", "any": "all", "all": "any"}


def variants(node: ast.AST) -> Iterator[Variant]:
    """Every mistake at ``node`` itself, not below it. Nodes are shared with the original, so one is used per tree."""
    yield from place_variants(node)
    make = _MAKERS.get(type(node))
    if make is not None:
        yield from make(node)


def _compare(node: ast.Compare) -> Iterator[Variant]:
    for number, operator in enumerate(node.ops):
        for other in _COMPARED[type(operator)]:
            yield "comparison", ast.Compare(node.left, [*node.ops[:number], other(), *node.ops[number + 1 :]], node.comparators)


def _bool(node: ast.BoolOp) -> Iterator[Variant]:
    for number in range(len(node.values)):
        rest = [*node.values[:number], *node.values[number + 1 :]]
        yield "condition removed", rest[0] if len(rest) == 1 else ast.BoolOp(node.op, rest)
    yield "and/or", ast.BoolOp(ast.And() if isinstance(node.op, ast.Or) else ast.Or(), node.values)


def _unary(node: ast.UnaryOp) -> Iterator[Variant]:
    if isinstance(node.op, ast.Not | ast.USub):
        yield "negation", node.operand


def _binary(node: ast.BinOp) -> Iterator[Variant]:
    if type(node.op) in _COMPUTED:
        yield "arithmetic", ast.BinOp(node.left, _COMPUTED[type(node.op)](), node.right)


def _augmented(node: ast.AugAssign) -> Iterator[Variant]:
    if type(node.op) in _COMPUTED:
        yield "arithmetic", ast.AugAssign(node.target, _COMPUTED[type(node.op)](), node.value)
    yield "statement removed", ast.Pass()


def _if(node: ast.If) -> Iterator[Variant]:
    yield "condition removed", ast.If(ast.Constant(value=False), node.body, node.orelse)
    yield "condition removed", ast.If(ast.Constant(value=True), node.body, node.orelse)


def _choice(node: ast.IfExp) -> Iterator[Variant]:
    yield "condition removed", node.body
    yield "condition removed", node.orelse


def _comprehension(node: ast.comprehension) -> Iterator[Variant]:
    for number in range(len(node.ifs)):
        ifs = [*node.ifs[:number], *node.ifs[number + 1 :]]
        yield "condition removed", ast.comprehension(node.target, node.iter, ifs, node.is_async)


def _return(node: ast.Return) -> Iterator[Variant]:
    if node.value is None or (isinstance(node.value, ast.Constant) and node.value.value is None):
        yield "statement removed", ast.Pass()
    else:
        yield "nothing returned", ast.Return(ast.Constant(value=None))


def _statement(_: ast.AST) -> Iterator[Variant]:
    yield "statement removed", ast.Pass()


def _expression(node: ast.Expr) -> Iterator[Variant]:
    if isinstance(node.value, ast.Call):
        yield "statement removed", ast.Pass()


def _assign(node: ast.Assign) -> Iterator[Variant]:
    if isinstance(node.targets[0], ast.Subscript):
        yield "statement removed", ast.Pass()


def _constant(node: ast.Constant) -> Iterator[Variant]:
    if isinstance(node.value, bool):
        yield "constant", ast.Constant(value=not node.value)
    elif isinstance(node.value, int | float):
        yield "constant", ast.Constant(value=node.value + 1)
        yield "constant", ast.Constant(value=node.value - 1)
    elif isinstance(node.value, str):
        for operator, text in text_variants(node.value):
            yield operator, ast.Constant(value=text)


def _call(node: ast.Call) -> Iterator[Variant]:
    if not isinstance(node.func, ast.Name):
        return
    if node.func.id in _CALLED:
        yield "other aggregate", ast.Call(ast.Name(_CALLED[node.func.id], ast.Load()), node.args, node.keywords)
    elif node.func.id == "replace":
        for number in range(len(node.keywords)):
            rest = [*node.keywords[:number], *node.keywords[number + 1 :]]
            yield "field not written", ast.Call(node.func, node.args, rest)


_MAKERS: dict[type[ast.AST], Callable[[Any], Iterator[Variant]]] = {
    ast.Compare: _compare,
    ast.BoolOp: _bool,
    ast.UnaryOp: _unary,
    ast.BinOp: _binary,
    ast.AugAssign: _augmented,
    ast.If: _if,
    ast.IfExp: _choice,
    ast.comprehension: _comprehension,
    ast.Return: _return,
    ast.Raise: _statement,
    ast.Continue: _statement,
    ast.Expr: _expression,
    ast.Assign: _assign,
    ast.Constant: _constant,
    ast.Call: _call,
}
