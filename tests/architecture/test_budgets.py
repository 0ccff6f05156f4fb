"""Size budgets: a file or a function that outgrows them hides an idea that deserves a name."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
SOURCES = ("functions", "infra", "layers/gpupool/python/gpupool", "node_agent", "local", "bench", "examples")
MAX_FILE_LINES = 400
MAX_TEST_FILE_LINES = 500
MAX_FUNCTION_LINES = 40


def python_files(*folders: str) -> Iterator[Path]:
    for folder in folders:
        for path in sorted((ROOT / folder).rglob("*.py")):
            if not {"__pycache__", "out", ".venv"} & set(path.parts):
                yield path


def length_of(function: ast.FunctionDef | ast.AsyncFunctionDef) -> int:
    """Lines from ``def`` to the end, without the docstring."""
    lines = (function.end_lineno or function.lineno) - function.lineno + 1
    first = function.body[0]
    if isinstance(first, ast.Expr) and isinstance(first.value, ast.Constant) and isinstance(first.value.value, str):
        lines -= (first.end_lineno or first.lineno) - first.lineno + 1
    return lines


def functions_in(path: Path) -> Iterator[ast.FunctionDef | ast.AsyncFunctionDef]:
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            yield node


@pytest.mark.parametrize(("folders", "limit"), [(SOURCES, MAX_FILE_LINES), (("tests",), MAX_TEST_FILE_LINES)])
def test_no_file_outgrows_its_budget(folders: tuple[str, ...], limit: int) -> None:
    lengths = {str(path.relative_to(ROOT)): len(path.read_text().splitlines()) for path in python_files(*folders)}

    assert len(lengths) > 20
    assert {name: lines for name, lines in lengths.items() if lines > limit} == {}


def test_no_function_outgrows_its_budget() -> None:
    lengths = {
        f"{path.relative_to(ROOT)}:{function.name}": length_of(function)
        for path in python_files(*SOURCES)
        for function in functions_in(path)
    }

    assert len(lengths) > 500
    assert {name: lines for name, lines in lengths.items() if lines > MAX_FUNCTION_LINES} == {}


def test_production_code_asserts_nothing() -> None:
    """``python -O`` removes asserts, so no check may rest on one."""
    asserting = [
        f"{path.relative_to(ROOT)}:{node.lineno}"
        for path in python_files("functions", "infra", "layers/gpupool/python/gpupool", "node_agent", "local")
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.Assert)
    ]

    assert asserting == []
