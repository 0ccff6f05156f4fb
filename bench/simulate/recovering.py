"""The scheduled recovery: every five minutes it looks for what was forgotten. Where only work goes wrong it finds nothing."""

from collections import Counter

from bench.simulate.faults import Faults
from bench.simulate.loop import Loop
from bench.simulate.violations import Violation
from gpupool.recovery.model import Report
from gpupool.recovery.service import EVERY_SECONDS, Recovery


class Recovering:
    """``found``: how much of each kind. ``owes``: whether it would look again at something."""

    def __init__(self, loop: Loop, faults: Faults, recovery: Recovery) -> None:
        self._loop, self._faults, self._recovery = loop, faults, recovery
        self.found: Counter[str] = Counter()
        self.is_idle = False
        self.owes = True

    def begin(self) -> None:
        self._loop.after(EVERY_SECONDS, "recovery", "", self._run)

    def _run(self) -> None:
        done, report = self._faults.run(self._recovery.run)
        if done:
            self._note(report)
        self.begin()

    def _note(self, report: Report) -> None:
        self.owes = bool(report.watched)
        self.found.update(report.counts)
        if self.is_idle and (report.found or report.failed):
            raise Violation("recovery finds nothing where nothing went wrong", (report.found, report.failed))
