"""The fault suite, stage by stage, cheapest first. Each stage answers what it noticed, empty when it noticed nothing."""

import hashlib
import io
import logging
import os
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, redirect_stdout
from dataclasses import dataclass
from functools import cache, partial
from types import FrameType
from typing import Any

import pytest

from bench.mutants.sites import PACKAGE
from local.layout import REPO_ROOT

# Few small worlds find most of what many find. All of them together are those that `make test` plays.
# The third is the first without faults, in which whatever stops all work is noticed at once.
_FIRST, _MORE, _REST = (3, *range(3), *range(4, 12)), tuple(range(24)), tuple(range(24, 105))
_SMALL, _WHOLE = 30, 100
_CONTRACTS = (
    "tests/contract/test_ledger_store.py",
    "tests/contract/test_transitions_store.py",
    "tests/contract/test_units_store.py",
    "tests/contract/test_jobs_store.py",
    "tests/contract/test_artifacts.py",
)
_SEQUENCES = tuple(
    f"tests/contract/parity/test_sequences.py::test_no_sequence_tells_the_twin_from_the_adapter[moto-{room}]"
    for room in ("units", "moves", "jobs")
)
_STATES = ("tests/states",)
_CRASHES = "tests/faults/test_crash_points.py"
_UNDISTURBED = f"{_CRASHES}::test_an_undisturbed_run_ends_as_it_should"
_DISTURBED = f"{_CRASHES}::test_whatever_goes_wrong_it_ends_as_it_should"
# Not of the fault suite; asked last, so that the report can say what of the rest they notice.
UNIT = "unit"
_UNITS = tuple(f"tests/unit/{room}" for room in ("ledger", "planning", "recovery", "units", "workflow"))
_PARTED = {"small states": _STATES, "contract": _CONTRACTS, "faults, undisturbed": (_UNDISTURBED,), "unit tests": _UNITS}
# Without the emulator: a mutant lives in this process, and the emulator's answers are not what is asked about.
_QUIET = ("-q", "-m", "not stack", "-p", "no:cacheprovider", "-p", "no:xdist", "--rootdir", str(REPO_ROOT))

# Which functions of the package each part of a stage runs, as ``file:qualified name``.
Reached = dict[str, frozenset[str]]


@dataclass(frozen=True, slots=True)
class Stage:
    """``counts_as``: what of the fault suite it belongs to, or ``UNIT``. ``parts`` are seeds or tests; ``notice`` runs some.

    ``cpu_seconds``: who needs so many hangs.
    """

    name: str
    counts_as: str
    folders: tuple[str, ...]
    notice: Callable[[tuple[str, ...]], str]
    cpu_seconds: int

    @property
    def digest(self) -> str:
        """Of the suite's own text: a verdict is about one suite."""
        return _digest(self.folders)


@cache
def _digest(folders: tuple[str, ...]) -> str:
    """As the text is when it is first asked for, which is when it is loaded."""
    found = hashlib.sha256()
    for folder in folders:
        for path in sorted((REPO_ROOT / folder).rglob("*.py")):
            found.update(path.read_bytes())
    return found.hexdigest()[:12]


def stages() -> tuple[Stage, ...]:
    played, agreed, crashed = ("bench/simulate",), ("tests/contract",), ("tests/faults", "tests/cloud")
    return (
        Stage("simulation, 12 small seeds", "simulation", played, partial(_simulate, _FIRST, _SMALL), 20),
        Stage("small states", "states", _STATES, _run_tests, 60),
        Stage("contract", "contract", agreed, _run_tests, 120),
        Stage("simulation, 24 seeds", "simulation", played, partial(_simulate, _MORE, _WHOLE), 40),
        Stage("simulation, 105 seeds", "simulation", played, partial(_simulate, _REST, _WHOLE), 150),
        Stage("contract, sequences", "contract", agreed, partial(_run_all, _SEQUENCES), 200),
        Stage("faults, undisturbed", "faults", crashed, _run_tests, 200),
        Stage("faults, every point", "faults", crashed, partial(_run_all, (_DISTURBED,)), 3_600),
        Stage("unit tests", UNIT, ("tests/unit",), _run_tests, 120),
    )


def reach(stage: Stage) -> Reached:
    """Runs a stage once, undisturbed, and notes what each part of it runs. What fails then is no suite.

    Empty for a stage that is asked about whatever an earlier one let pass.
    """
    listener = _Listener()
    if stage.name == "simulation, 12 small seeds":
        with _profiled() as seen:
            noticed = stage.notice(())
        listener.reached[""] = frozenset(seen)
    elif stage.name in _PARTED:
        noticed = _pytest(_PARTED[stage.name], listener)
    else:
        return {}
    if noticed:
        raise SystemExit(f"without any mutant, {stage.name} fails: {noticed}")
    return listener.reached


def load(stage: Stage) -> None:
    """Loads what a stage loads, so that copies of this process start with it."""
    with redirect_stdout(io.StringIO()):
        _load(stage)


def _load(stage: Stage) -> None:
    if stage.counts_as == "contract":
        _pytest(("--collect-only", *_CONTRACTS), _Listener())
        _run_tests((f"{_CONTRACTS[0]}::test_a_transfer_is_posted_once",))
    elif stage.counts_as == "states":
        _pytest(("--collect-only", *_STATES), _Listener())
    elif stage.counts_as == "faults":
        _run_tests((f"{_UNDISTURBED}[one unit]",))
    elif stage.counts_as == UNIT:
        _pytest(("--collect-only", *_UNITS), _Listener())
    else:
        _simulate((0,), _SMALL, ())


def prepare() -> None:
    logging.disable(logging.CRITICAL)
    os.environ["FAULT_WORKERS"] = "1"


def _simulate(seeds: tuple[int, ...], units: int, _: tuple[str, ...]) -> str:
    from bench.simulate.simulation import simulate

    for seed in seeds:
        failure = simulate(seed, units=units).failure
        if failure is not None:
            said = failure.found.strip().splitlines()
            return f"seed {seed}: {failure.promise}: {said[-1] if said else ''}"
    return ""


def _run_tests(nodes: tuple[str, ...]) -> str:
    return _pytest(("-x", *nodes), _Listener())


def _run_all(nodes: tuple[str, ...], _: tuple[str, ...]) -> str:
    return _run_tests(nodes)


def _pytest(arguments: tuple[str, ...], listener: "_Listener") -> str:
    rest = [str(REPO_ROOT / each) if each.startswith("tests/") else each for each in arguments]
    code = pytest.main([*_QUIET, *rest], plugins=[listener])
    if code in (pytest.ExitCode.OK, pytest.ExitCode.NO_TESTS_COLLECTED):
        return ""
    return listener.noticed or f"pytest ended with {code}"


class _Listener:
    def __init__(self) -> None:
        self.noticed = ""
        self.reached: Reached = {}

    @pytest.hookimpl(hookwrapper=True)
    def pytest_runtest_protocol(self, item: pytest.Item) -> Iterator[None]:
        with _profiled() as seen:
            yield
        self.reached[item.nodeid] = frozenset(seen)

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        if report.failed and not self.noticed:
            self.noticed = report.nodeid

    def pytest_collectreport(self, report: Any) -> None:
        if report.failed and not self.noticed:
            self.noticed = f"{report.nodeid} does not load"


@contextmanager
def _profiled() -> Iterator[set[str]]:
    """Which functions of the package are called meanwhile."""
    seen: set[Any] = set()

    def note(frame: FrameType, event: str, _: Any) -> None:
        if event == "call":
            seen.add(frame.f_code)

    names: set[str] = set()
    threading.setprofile(note)
    sys.setprofile(note)
    try:
        yield names
    finally:
        sys.setprofile(None)
        threading.setprofile(None)
        home = f"{PACKAGE}/"
        names |= {
            f"{code.co_filename.removeprefix(home)}:{code.co_qualname.partition('.<locals>')[0]}"
            for code in seen
            if code.co_filename.startswith(home)
        }
