"""Whatever happens in whatever order, the books add up at every moment, every job ends, and its timeline tells all of it.

Hypothesis plays machines that claim, stall, lie late and repeat themselves, streams that deliver again, steps that run twice
and clocks that jump, over a random DAG. Afterwards everybody behaves, and the job has to end.
"""

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from bench.simulate.stories import check_story
from gpupool.dispatch.memory import Received
from gpupool.errors import Conflict
from gpupool.jobs.model import Job, JobStatus
from gpupool.units.model import Unit, UnitStatus
from gpupool.wire.errors import NodeErrorCode
from gpupool.wire.failures import FailureCode
from gpupool.wire.units import UnitGrant
from tests.factories import dag
from tests.platform import LEASE_SECONDS, At, Execution, Machine, Platform

REFUSALS = {
    NodeErrorCode.LEASE_LOST,
    NodeErrorCode.UNIT_GONE,
    NodeErrorCode.UNIT_LEASED,
    NodeErrorCode.UNIT_NOT_SUITABLE,  # a machine that has failed the unit lets others come first
}
REPORTABLE = sorted(set(FailureCode) - {FailureCode.PLANNING_FAILED, FailureCode.DISPATCH_FAILED, FailureCode.LEASE_EXPIRED})
LAPSE = LEASE_SECONDS + 2


@st.composite
def graphs(draw: st.DrawFn) -> list[tuple[int, ...]]:
    """Per unit, which of those before it are needed."""
    count = draw(st.integers(1, 5))
    return [tuple(sorted(draw(st.sets(st.integers(0, at - 1))))) if at else () for at in range(count)]


anything = st.integers(0, 1_000)


class AnyOrder(RuleBasedStateMachine):
    def __init__(self) -> None:
        super().__init__()
        self.grants: list[tuple[Machine, UnitGrant]] = []
        self.bells: list[Received] = []
        self.final: dict[str, Unit] = {}

    @initialize(needs=graphs(), jobs=st.integers(1, 2), running=st.integers(0, 3))
    def submit(self, needs: list[tuple[int, ...]], jobs: int, running: int) -> None:
        self.platform = Platform(package=dag(*needs), credits=10_000)
        self.machines = [Machine(self.platform), Machine(self.platform)]
        self.jobs: list[Job] = [self.platform.submit() for _ in range(jobs)]
        if running:
            self.platform.settle()

    @property
    def executions(self) -> list[Execution]:
        return list(self.platform.executions.values())

    @rule(choices=st.lists(anything, min_size=1, max_size=8))
    def aws_moves_on(self, choices: list[int]) -> None:
        """Records are delivered and steps made, each time any of those that could be next."""
        for choice in choices:
            rows = self.platform.stream.rows
            able = [each for each in self.executions if each.can_step]
            if choice % (len(rows) + len(able) or 1) < len(rows):
                self.platform.deliver(rows[choice % (len(rows) + len(able))])
            elif able:
                self.platform.step(able[choice % len(able)])

    @precondition(lambda self: self.platform.stream.delivered)
    @rule(choices=st.lists(anything, min_size=1, max_size=4))
    def aws_repeats_itself(self, choices: list[int]) -> None:
        delivered = list(self.platform.stream.delivered)
        for choice in choices:
            self.platform.receive(delivered[choice % len(delivered)])

    @precondition(lambda self: self.executions)
    @rule(which=anything)
    def a_step_runs_again(self, which: int) -> None:
        """A step's function that runs once more, long after everybody stopped waiting for it."""
        self.executions[which % len(self.executions)].step_again(which)
        self.platform.wake()

    @precondition(lambda self: any(each.at is At.WAITING for each in self.executions))
    @rule()
    def a_wait_times_out(self) -> None:
        for each in self.executions:
            each.time_out()

    @rule(which=anything, how=st.sampled_from(["complete", "complete", "fail", "stall"]), code=st.sampled_from(REPORTABLE))
    def work(self, which: int, how: str, code: FailureCode) -> None:
        machine = self.machines[which % 2]
        bell = machine.receive()
        if bell is None:
            return
        self.bells.append(bell)
        grant = self.try_claim(machine, bell)
        if grant is None or how == "stall":
            return
        self.platform.tick(which % 200)
        self.report(machine, grant, None if how == "complete" else code)
        if which % 4:
            self.platform.settle()

    @precondition(lambda self: self.bells)
    @rule(which=anything)
    def an_old_bell_rings(self, which: int) -> None:
        bell = self.bells[which % len(self.bells)]
        if which % 3:
            self.try_claim(self.machines[which % 2], bell)
        else:
            self.platform.dead_letters.handle(bell.bell)

    @precondition(lambda self: self.grants)
    @rule(which=anything, code=st.none() | st.sampled_from(REPORTABLE))
    def any_holder_reports(self, which: int, code: FailureCode | None) -> None:
        """Whoever was ever granted the unit: the holder, one whose lease lapsed, one that has reported before."""
        self.report(*self.grants[which % len(self.grants)], code)

    @precondition(lambda self: self.grants)
    @rule(which=anything)
    def any_holder_beats(self, which: int) -> None:
        machine, grant = self.grants[which % len(self.grants)]
        machine.heartbeat(grant, fraction=0.5)

    @rule(seconds=st.sampled_from([1, 20, LAPSE]))
    def time_passes(self, seconds: int) -> None:
        self.platform.tick(seconds)

    @rule(which=anything, really=st.integers(0, 9))
    def the_customer_cancels(self, which: int, really: int) -> None:
        if really == 9:
            self.allow_refusal(lambda: self.platform.cancel(self.jobs[which % len(self.jobs)]), {"JOB_NOT_CANCELLABLE"})

    @invariant()
    def books_add_up(self) -> None:
        if hasattr(self, "platform"):
            self.platform.check_books()

    @invariant()
    def what_is_final_stays(self) -> None:
        for unit in [unit for job in getattr(self, "jobs", ()) for unit in self.platform.units(job)]:
            known = self.final.get(unit.id)
            if known is not None:
                assert (unit.status, unit.credits, unit.failure) == (known.status, known.credits, known.failure)
            elif unit.is_final:
                self.final[unit.id] = unit
            assert unit.attempt <= unit.max_attempts
            needs = [self.platform.units(self.platform.ports.world.jobs[unit.job_id])[need] for need in unit.needs]
            if unit.attempt:
                assert all(need.status is UnitStatus.COMPLETED for need in needs)

    def teardown(self) -> None:
        for _ in range(40):
            self.behave()
            if all(each.at is At.ENDED for each in self.executions) and len(self.executions) == len(self.jobs):
                break
        self.platform.settle()
        for job in map(self.platform.job, self.jobs):
            check_story(job, self.platform.units(job), self.platform.events(job))
            assert not job.is_live
            completed = all(unit.status is UnitStatus.COMPLETED for unit in self.platform.units(job))
            assert (job.status is JobStatus.COMPLETED) <= completed
            assert (job.status is JobStatus.FAILED) == (job.failure is not None)
        self.platform.check_books()

    def behave(self) -> None:
        """Everything is delivered, every bell answered, every claimed unit completed; then time passes."""
        self.platform.settle()
        while (bell := self.machines[0].receive()) is not None:
            grant = self.try_claim(self.machines[0], bell)
            if grant is not None:
                self.machines[0].complete(grant)
            self.platform.settle()
        for url in self.platform.ports.queue_urls.by_name.values():
            for letter in self.platform.ports.queue.take_dead_letters(url):
                self.platform.dead_letters.handle(letter)
        self.platform.tick(LAPSE)

    def report(self, machine: Machine, grant: UnitGrant, code: FailureCode | None) -> None:
        if code is None:
            self.allow_refusal(lambda: machine.complete(grant, runtime_seconds=90))
        else:
            self.allow_refusal(lambda: machine.fail(grant, code))

    def try_claim(self, machine: Machine, bell: Received) -> UnitGrant | None:
        before = len(self.grants)
        self.allow_refusal(lambda: self.grants.append((machine, machine.claim(bell))))
        return self.grants[-1][1] if len(self.grants) > before else None

    def allow_refusal(self, act, codes: set[str] = REFUSALS) -> None:
        try:
            act()
        except Conflict as refused:
            if refused.code not in codes:
                raise


AnyOrder.TestCase.settings = settings(
    max_examples=200, stateful_step_count=50, deadline=None, suppress_health_check=[HealthCheck.too_slow]
)
TestAnyOrder = AnyOrder.TestCase
