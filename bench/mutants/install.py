"""Puts a mutant into a running process. Most are one function's code, exchanged in place; what is evaluated when a module is
loaded needs the program loaded anew."""

import gc
import importlib.util
import sys
from collections import defaultdict
from collections.abc import Iterator, Sequence
from importlib.abc import MetaPathFinder
from importlib.machinery import ModuleSpec, SourceFileLoader
from types import CodeType, FunctionType, ModuleType

from bench.mutants.sites import PACKAGE, Mutant, compiled

# Whoever kept a class of the old program would find every class of the new one strange.
_RELOADED = ("gpupool", "functions", "tests", "bench")
# The synthesised template takes half a minute to make and has nothing of the program in it; nor have we.
_KEPT = ("tests.cloud.template", "tests.cloud.patterns", "bench.mutants")
Functions = dict[tuple[str, str], list[FunctionType]]


def live_functions() -> Functions:
    """Every function of the package that is there now, by its file and its qualified name."""
    found: Functions = defaultdict(list)
    gc.unfreeze()  # what was there when a copy was made is not told otherwise
    for each in gc.get_objects():
        if isinstance(each, FunctionType) and each.__code__.co_filename.startswith(str(PACKAGE)):
            found[each.__code__.co_filename, each.__code__.co_qualname].append(each)
    return found


def install(mutant: Mutant, functions: Functions) -> None:
    """From now on this process runs the mutant."""
    program = compiled(mutant)
    changed = _code_of(program, mutant.function) if mutant.function else None
    there = functions.get((program.co_filename, mutant.function), [])
    if changed is None or not there:
        load_anew(mutant.module, program)
        return
    for function in there:
        function.__code__ = changed
    forget(mutant.module)


def forget(module: str) -> None:
    """What the module's functions remember, they worked out before they were changed."""
    for each in vars(sys.modules.get(module, ModuleType(module))).values():
        if callable(getattr(each, "cache_clear", None)):
            each.cache_clear()


def _code_of(program: CodeType, qualified: str) -> CodeType | None:
    for each in _codes(program):
        if each.co_qualname == qualified:
            return each
    return None


def _codes(program: CodeType) -> Iterator[CodeType]:
    for constant in program.co_consts:
        if isinstance(constant, CodeType):
            yield constant
            yield from _codes(constant)


def load_anew(module: str, program: CodeType) -> None:
    """Whoever imports something of the program next gets all of it again, and ``program`` as that module."""
    for name in list(sys.modules):
        if name.startswith(_RELOADED) and not name.startswith(_KEPT):
            del sys.modules[name]
    sys.meta_path.insert(0, _Finder(module, program))


class _Finder(MetaPathFinder):
    def __init__(self, module: str, program: CodeType) -> None:
        self._module = module
        self._program = program

    def find_spec(self, fullname: str, _path: Sequence[str] | None, _target: ModuleType | None = None, /) -> ModuleSpec | None:
        if fullname != self._module:
            return None
        file = self._program.co_filename
        return importlib.util.spec_from_file_location(fullname, file, loader=_Loader(fullname, file, self._program))


class _Loader(SourceFileLoader):
    def __init__(self, fullname: str, path: str, program: CodeType) -> None:
        super().__init__(fullname, path)
        self._program = program

    def get_code(self, _fullname: str) -> CodeType:
        return self._program
