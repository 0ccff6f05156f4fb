"""``python -m bench.dispatch.memory``: whole lifecycles of units a second over the in-memory stores, on one core and on two.

A lifecycle is everything that happens because of one unit: it is released and its bell rings, a machine claims it, beats once
and completes it with one file; it is settled and debited, its edges are opened, its events are told. What a job costs besides
(submit, plan, close) is in it too, one job for each ``UNITS`` units.
"""

import multiprocessing
import time
from dataclasses import dataclass
from multiprocessing.queues import SimpleQueue
from multiprocessing.synchronize import Barrier
from typing import Any

from bench.dispatch.packages import a_customer, generous, layers, upload
from bench.dispatch.plane import ControlPlane
from bench.stats import Sample

TARGET = 2_000
UNITS = 100
_WINDOWS = 12
_WINDOW_SECONDS = 0.75


@dataclass(frozen=True)
class Window:
    """Lifecycles per second of the clock, and per second that the process had a core: others on the machine change only the
    first."""

    per_second: float
    per_core_second: float


def run() -> dict[str, Any]:
    """Rates with one process and with two at once, as JSON values; prints a table on the way."""
    print(f"{'lifecycles/s, in memory':24} {'all together':>28}   {'per core second':>24}")
    return {"target": TARGET, "rates": {str(count): _show(count, _side_by_side(count)) for count in (1, 2)}}


def _show(count: int, windows: list[list[Window]]) -> dict[str, Any]:
    """One row; ``windows`` holds each process's."""
    together = [sum(each.per_second for each in at_once) for at_once in zip(*windows, strict=True)]
    rates = Sample.of("lifecycles/s", together)
    pure = Sample.of("lifecycles per core second", [each.per_core_second for process in windows for each in process])
    target = f"   target >= {TARGET:,}" if count > 1 else ""
    print(
        f"{count} process{'es' if count > 1 else '  '}{'':13} {rates.median:12,.0f} [{rates.low:,.0f}, {rates.high:,.0f}]   "
        f"{pure.median:10,.0f} [{pure.low:,.0f}, {pure.high:,.0f}]{target}"
    )
    return {"per_second": rates.as_json(), "per_core_second": pure.as_json(), "windows": together}


def _side_by_side(count: int) -> list[list[Window]]:
    """The windows of ``count`` processes that start them together; every process has a control plane of its own."""
    context = multiprocessing.get_context("spawn")
    start, results = context.Barrier(count), context.SimpleQueue()
    processes = [context.Process(target=_measure, args=(start, results)) for _ in range(count)]
    for process in processes:
        process.start()
    windows = [results.get() for _ in processes]
    for process in processes:
        process.join()
    return windows


def _measure(start: Barrier, results: "SimpleQueue[list[Window]]") -> None:
    load = Load()
    load.window(_WINDOW_SECONDS)  # a warm-up
    start.wait()
    results.put([load.window(_WINDOW_SECONDS) for _ in range(_WINDOWS)])


class Load:
    """A control plane that always has a job to work on."""

    def __init__(self) -> None:
        self._plane = ControlPlane(generous())
        self._customer_id = a_customer(self._plane.customer)
        self._request = upload(self._plane.ports, self._customer_id, layers(UNITS))

    def window(self, seconds: float) -> Window:
        """As many lifecycles as fit into ``seconds``."""
        done = 0
        began, used = time.perf_counter(), time.process_time()
        until = began + seconds
        while time.perf_counter() < until:
            self._one()
            done += 1
        return Window(done / (time.perf_counter() - began), done / (time.process_time() - used))

    def _one(self) -> None:
        while not self._plane.work():
            self._plane.customer.jobs.submit(self._customer_id, self._request, idempotency_key=None)
            self._plane.settle()


if __name__ == "__main__":
    run()
