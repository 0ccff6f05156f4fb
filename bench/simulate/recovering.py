"""The scheduled recovery: every five minutes it looks for what was forgotten. Where only work goes wrong it finds nothing."""

from bench.simulate.faults import Faults
from bench.simulate.loop import Loop
from bench.simulate.violations import expect
from gpupool.recovery.service import EVERY_SECONDS, Recovery

# Where it is expected to find nothing, it looks more often.
_EAGER_SECONDS = 20


class Recovering:
    def __init__(self, loop: Loop, faults: Faults, recovery: Recovery) -> None:
        self._loop, self._faults, self._recovery = loop, faults, recovery
        self._expects_nothing = False

    def expect_nothing(self) -> None:
        """From now on whatever it finds is a violation."""
        self._expects_nothing = True

    def begin(self) -> None:
        self._loop.after(_EAGER_SECONDS if self._expects_nothing else EVERY_SECONDS, "recovery", "", self._run)

    def _run(self) -> None:
        done, report = self._faults.run(self._recovery.run)
        if done:
            failed = self._expects_nothing and (report.found or report.failed)
            expect(not failed, "recovery finds nothing where nothing went wrong", (report.found, report.failed))
        self.begin()
