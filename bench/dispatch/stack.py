"""``python -m bench.dispatch.stack``: lifecycles on the local emulator, beside the AWS calls that they make.

Every lifecycle runs twice in a row. First our services run it and their AWS calls are noted. Then a client that knows nothing
of us sends the very same calls for another customer's job, which is in the same state. ratio = time of the calls / our time.
"""

import statistics
from collections import Counter
from typing import Any

from bench.api.emulated import empty_account
from bench.dispatch.calls import Call
from bench.dispatch.deployed import DeployedPlane
from bench.dispatch.packages import a_customer, layers, upload
from bench.stats import Sample, paired_ratio
from gpupool.ids import new_id

TARGET = 0.7
_JOBS = 3
_UNITS = 30
_WARM_UP = 10


def run(*, jobs: int = _JOBS) -> dict[str, Any]:
    """The ratio and what a lifecycle calls, as JSON values; prints a table on the way."""
    with empty_account() as named:
        plane = DeployedPlane(named)
        twins = Twins(plane)
        pairs = [pair for _ in range(jobs) for pair in twins.job()][_WARM_UP:]
    return _show(pairs)


class Pair:
    """Milliseconds of one lifecycle, ours and its calls'."""

    def __init__(self, ours: float, theirs: float, calls: list[Call]) -> None:
        self.ours = ours * 1000
        self.theirs = theirs * 1000
        self.calls = [call.operation for call in calls]


class Twins:
    """Two customers whose jobs go through the same states: one's by our services, the other's by the same calls after it."""

    def __init__(self, plane: DeployedPlane) -> None:
        self._plane = plane
        self._ours = a_customer(plane.customer, "ours@example.com")
        self._theirs = a_customer(plane.customer, "theirs@example.com")
        self._request = upload(plane.ports, self._ours, layers(_UNITS))
        upload(plane.ports, self._theirs, layers(_UNITS))

    def job(self) -> list[Pair]:
        """Both customers' next jobs, from the submit to the end."""
        plane = self._plane
        plane.recorder.take()
        job_id = plane.customer.jobs.submit(self._ours, self._request, idempotency_key=None).job.id
        plane.settle(job_id)
        names = {job_id: new_id(), self._ours: self._theirs}
        self._follow(names)
        pairs = []
        while waiting := plane.bells(job_id):
            pairs.append(self._lifecycle(min(waiting), names))
        return pairs

    def _lifecycle(self, unit_id: str, names: dict[str, str]) -> Pair:
        plane = self._plane
        job_id, _, index = unit_id.rpartition(".")
        doorway = plane.take_bell(unit_id)
        plane.bells(job_id)
        twin = plane.take_bell(f"{names[job_id]}.{index}")
        plane.seconds = 0.0
        plane.work(unit_id, doorway)
        ours = plane.seconds
        for key, body in list(plane.uploaded.items()):
            plane.put(key.replace(job_id, names[job_id]), body)
        plane.uploaded.clear()
        calls, theirs = self._follow({doorway.receipt_handle: twin.receipt_handle, **names})
        return Pair(ours, theirs, calls)

    def _follow(self, names: dict[str, str]) -> tuple[list[Call], float]:
        """Sends the calls that our services made, about the other customer's things."""
        calls = self._plane.recorder.take()
        return calls, self._plane.bare.send([call.renamed(names) for call in calls])


def _show(pairs: list[Pair]) -> dict[str, Any]:
    ratio, low, high = paired_ratio([pair.theirs for pair in pairs], [pair.ours for pair in pairs])
    ours = Sample.of("lifecycle", [pair.ours for pair in pairs])
    theirs = Sample.of("its AWS calls", [pair.theirs for pair in pairs])
    count = statistics.median(len(pair.calls) for pair in pairs)
    print(
        f"{'lifecycle, on the stack':24} ours {ours.median:7.2f} ms [{ours.low:.2f}, {ours.high:.2f}]   "
        f"its {count:.0f} AWS calls {theirs.median:7.2f} ms [{theirs.low:.2f}, {theirs.high:.2f}]   "
        f"ratio {ratio:.2f} [{low:.2f}, {high:.2f}]  target >= {TARGET}"
    )
    kinds = Counter(call for pair in pairs for call in pair.calls)
    made = {name: round(number / len(pairs), 2) for name, number in kinds.most_common()}
    print(f"{'':24} " + ", ".join(f"{number:.1f} {name}" for name, number in made.items()))
    return {
        "ours": ours.as_json(),
        "calls": theirs.as_json(),
        "pairs": [(pair.ours, pair.theirs) for pair in pairs],
        "target": TARGET,
        "ratio": ratio,
        "ratio_p10": low,
        "ratio_p90": high,
        "calls_per_lifecycle": made,
    }


if __name__ == "__main__":
    run()
