"""``python -m bench.dispatch.scale [units ...]``: one job of each size, planned, run and billed over the in-memory stores.

Times are those of one core, so that others on the machine do not count. Time per unit must not grow with the job. Neither must
what a single function call needs: its time, its memory, the rows that it writes and how large they are; nor the history of an
execution. A last job of each size is planned and cancelled while its calls' memory is traced.
"""

import gc
import multiprocessing
import sys
import time
import tracemalloc
from collections import defaultdict
from collections.abc import Callable
from dataclasses import asdict, dataclass, field, replace
from multiprocessing.queues import SimpleQueue
from typing import Any, TypeVar

from bench.dispatch.packages import a_customer, generous, sweep, upload
from bench.dispatch.plane import ControlPlane
from bench.dispatch.rows import largest_items
from bench.plot import draw_growth
from gpupool.jobs.model import JobStatus
from gpupool.settings import Settings
from local.layout import DEFAULT_LAYOUT

SIZES = (100, 1_000, 10_000)
MOST_ITEM_BYTES = 100_000
MOST_CALL_SECONDS = 10
MOST_HISTORY_EVENTS = 25_000
# A task and the choice after it: entered, scheduled, started, submitted, succeeded, exited; entered, exited.
EVENTS_PER_STEP = 8
# Of an execution's start and its end.
_OTHER_EVENTS = 4

T = TypeVar("T")


@dataclass(frozen=True)
class Grown:
    """What one job needed, in seconds of one core. By function: the longest call, the most rows of jobs, units and gates that
    a call wrote, and the most memory that a step took.
    """

    units: int
    plan_seconds: float
    run_seconds: float
    call_seconds: dict[str, float]
    call_writes: dict[str, int]
    item_bytes: dict[str, int]
    history_events: int
    executions: int
    peak_bytes: dict[str, int] = field(default_factory=dict)

    @property
    def seconds(self) -> float:
        return self.plan_seconds + self.run_seconds


def run(sizes: tuple[int, ...] = SIZES) -> list[dict[str, Any]]:
    """What each size needed, as JSON values; prints a table on the way and leaves a picture."""
    print(
        f"{'units of one job':>16} {'plan':>9} {'run, bill':>9} {'per unit':>9}   "
        f"{'longest call':20} {'most rows by a call':19} {'most memory of a step':22} {'largest item':21} history"
    )
    found = []
    for size in sizes:
        grown = replace(_in_a_process(_work_off, size), peak_bytes=_in_a_process(_trace, size))
        _show(grown)
        found.append(grown)
    path = DEFAULT_LAYOUT.home / "bench-scale.png"
    draw_growth(path, _panels(found), x="units of one job", title="A job's cost by its size")
    print(f"picture: {path}   at most {MOST_CALL_SECONDS} s, {MOST_ITEM_BYTES:,} bytes, {MOST_HISTORY_EVENTS:,} events")
    return [asdict(each) for each in found]


def _show(grown: Grown) -> None:
    call, seconds = _most(grown.call_seconds)
    step, peak = _most(grown.peak_bytes)
    table, size = _most(grown.item_bytes)
    writer, rows = _most(grown.call_writes)
    per_unit = grown.seconds / grown.units * 1000
    print(
        f"{grown.units:16,} {grown.plan_seconds:7.2f} s {grown.run_seconds:7.2f} s {per_unit:6.3f} ms   "
        f"{f'{seconds * 1000:,.0f} ms ({call})':20} {f'{rows:,} ({writer})':19} {f'{peak / 1000:,.0f} KB ({step})':22} "
        f"{f'{size:,} bytes ({table})':21} {grown.history_events:,} events"
    )


def _most(by_name: dict[str, Any]) -> tuple[str, Any]:
    return max(by_name.items(), key=lambda entry: entry[1])


def _panels(found: list[Grown]) -> dict[str, dict[str, list[tuple[float, float]]]]:
    def line(value: Callable[[Grown], float]) -> list[tuple[float, float]]:
        return [(grown.units, value(grown)) for grown in found]

    return {
        "seconds": {"plan, run and bill": line(lambda each: each.seconds), "plan": line(lambda each: each.plan_seconds)},
        "milliseconds per unit": {
            "plan, run and bill": line(lambda each: each.seconds / each.units * 1000),
            "plan": line(lambda each: each.plan_seconds / each.units * 1000),
        },
        "of one call, item or execution": {
            "longest call, ms": line(lambda each: _most(each.call_seconds)[1] * 1000),
            "most memory of a step, KB": line(lambda each: _most(each.peak_bytes)[1] / 1000),
            "largest item, bytes": line(lambda each: _most(each.item_bytes)[1]),
            "history of an execution, events": line(lambda each: each.history_events),
        },
    }


def _in_a_process(measure: Callable[[int], T], size: int) -> T:
    """Measures in a fresh interpreter, so that no size pays for the memory of another."""
    context = multiprocessing.get_context("spawn")
    results: SimpleQueue[T] = context.SimpleQueue()
    process = context.Process(target=_answer, args=(measure, size, results))
    process.start()
    result = results.get()
    process.join()
    return result


def _answer(measure: Callable[[int], T], size: int, results: "SimpleQueue[T]") -> None:
    results.put(measure(size))


class WatchedPlane(ControlPlane):
    """Remembers the longest call of each function and the most rows that one wrote."""

    def __init__(self, settings: Settings) -> None:
        super().__init__(settings)
        self.seconds: dict[str, float] = defaultdict(float)
        self.writes: dict[str, int] = defaultdict(int)

    def call(self, function: str, act: Callable[[], T]) -> T:
        start, written = time.process_time(), self._written
        result = act()
        self.seconds[function] = max(self.seconds[function], time.process_time() - start)
        self.writes[function] = max(self.writes[function], self._written - written)
        return result

    @property
    def _written(self) -> int:
        """Grows with each row that is written, until the stream is delivered; no call is under way then."""
        return len(self.stream) + len(self.ports.world.gates)


class TracedPlane(ControlPlane):
    """Remembers the most memory that a call of each function took at once, what it stored included."""

    def __init__(self, settings: Settings) -> None:
        super().__init__(settings)
        self.peaks: dict[str, int] = defaultdict(int)

    def call(self, function: str, act: Callable[[], T]) -> T:
        tracemalloc.start()
        result = act()
        self.peaks[function] = max(self.peaks[function], tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
        return result


def _submit(plane: ControlPlane, size: int) -> tuple[str, str]:
    """The ids of a customer and of the job that it submitted."""
    customer_id = a_customer(plane.customer)
    request = upload(plane.ports, customer_id, sweep(size))
    return customer_id, plane.customer.jobs.submit(customer_id, request, idempotency_key=None).job.id


def _work_off(size: int) -> Grown:
    gc.disable()  # it would walk over all rows again and again, and no function that is deployed holds them
    plane = WatchedPlane(generous())
    began = time.process_time()
    customer_id, job_id = _submit(plane, size)
    plane.settle()
    planned = time.process_time()
    new_items = largest_items(plane.ports.world)
    started = time.process_time()
    while plane.work():
        pass
    ended = time.process_time()
    old_items = largest_items(plane.ports.world)
    _check_bill(plane, customer_id, job_id)
    return Grown(
        units=plane.ports.world.jobs[job_id].units_total,
        plan_seconds=planned - began,
        run_seconds=ended - started,
        call_seconds=dict(plane.seconds),
        call_writes=dict(plane.writes),
        item_bytes={table: max(size, new_items[table]) for table, size in old_items.items()},
        history_events=_OTHER_EVENTS + EVENTS_PER_STEP * max(plane.machine.steps.values()),
        executions=len(plane.machine.steps),
    )


def _check_bill(plane: ControlPlane, customer_id: str, job_id: str) -> None:
    """A figure of a job that went wrong would say nothing."""
    job, balance = plane.ports.world.jobs[job_id], plane.ports.ledger.balance(customer_id)
    billed = sum(unit.credits for unit in plane.ports.world.units[job_id].values())
    if (job.status, job.units_completed, balance.held) != (JobStatus.COMPLETED, job.units_total, 0):
        raise RuntimeError(f"the job ended as {job.status} with {job.units_completed} units and {balance.held} credits held")
    if not job.credits_spent == balance.spent == billed:
        raise RuntimeError(f"{billed} credits were earned, {balance.spent} paid, and the job counts {job.credits_spent}")


def _trace(size: int) -> dict[str, int]:
    plane = TracedPlane(generous())
    customer_id, job_id = _submit(plane, size)
    plane.settle()
    plane.customer.jobs.cancel(customer_id, job_id)
    plane.settle()
    return dict(plane.peaks)


if __name__ == "__main__":
    run(tuple(int(size) for size in sys.argv[1:]) or SIZES)
