"""Any sequence of operations on the units of two jobs, and on what the units leave."""

from dataclasses import replace
from datetime import timedelta
from typing import Any

from hypothesis import strategies as st

from gpupool.ids import unit_id
from gpupool.units.artifacts import Artifacts
from gpupool.units.edges import gate_of, gates_of
from gpupool.units.model import Failure, NodeFault, Output, Unit, UnitStatus
from gpupool.units.store import UnitStore
from gpupool.wire.failures import Blame, FailureCode
from gpupool.wire.units import Lease, Progress
from gpupool.wire.vocabulary import ArtifactKind
from tests.contract.both import Stores
from tests.contract.parity.alike import Refused, StoresPlayer, all_pages, operation
from tests.factories import NOW, a_lease, a_unit, some_work
from tests.support.work import JOB_ID

JOBS = (JOB_ID, "another-job")
IDS = [unit_id(job_id, index) for job_id in JOBS for index in (0, 1, 10)]
TOKENS = ["token-1", "token-2"]
# Of the kinds that a script may write: neither too large for the table nor nearer to zero than it can tell from zero.
numbers = st.one_of(st.integers(-9, 9).map(float), st.floats(-1e9, 1e9).filter(lambda each: abs(each) > 1e-9))
# So few that deadlines are met to the microsecond.
seconds = st.sampled_from([-1.0, 0.0, 0.000001, 0.5, 30.0, 59.999999, 60.0])
times = st.one_of(st.none(), seconds.map(lambda each: NOW + timedelta(seconds=each)))
values = st.one_of(st.integers(-9, 9), numbers, st.booleans(), st.text(max_size=4))
leases = st.builds(
    a_lease,
    token=st.sampled_from(TOKENS),
    deadline=seconds.map(lambda each: NOW + timedelta(seconds=each)),
)
failures = st.builds(
    Failure,
    st.sampled_from(FailureCode),
    st.sampled_from(Blame),
    st.text(max_size=5),
    exit_code=st.one_of(st.none(), st.integers(-9, 2)),
    log_tail=st.text(max_size=5),
)
digests = st.binary(min_size=32, max_size=32).map(bytes.hex)
outputs = st.builds(Output, st.sampled_from("abc"), st.sampled_from(ArtifactKind), sha256=digests)
indexes = st.lists(st.integers(0, 40), unique=True, max_size=6).map(sorted).map(tuple)
changes = st.fixed_dictionaries(
    {},
    optional={
        "status": st.sampled_from(UnitStatus),
        "attempt": st.integers(0, 2),
        "lease": st.one_of(st.none(), leases),
        "open_needs": st.frozensets(st.integers(0, 3), max_size=2),
        "needs": indexes,
        "gathered_by": indexes,
        "progress_fraction": st.one_of(st.none(), st.sampled_from([0.0, 0.25, 1.0])),
        "metrics": st.dictionaries(st.text(min_size=1, max_size=3), numbers, max_size=2),
        "runtime_seconds": st.one_of(st.none(), numbers),
        "failure": st.one_of(st.none(), failures),
        "faults": st.lists(st.builds(NodeFault, st.sampled_from("ab"), st.integers(0, 2), st.just(NOW)), max_size=2).map(tuple),
        "outputs": st.lists(outputs, max_size=3, unique_by=lambda output: output.name).map(tuple),
        "finished_at": times,
        "rung_at": times,
        "credits": st.integers(0, 9),
        "completed_by": st.one_of(st.none(), st.sampled_from(TOKENS)),
    },
)
anything = st.integers(0, 1_000)


@st.composite
def units(draw: st.DrawFn) -> Unit:
    """A unit as it is planned, or as another writer has left it meanwhile."""
    which = draw(st.sampled_from(IDS))
    work = some_work(
        parameters=draw(st.dictionaries(st.text(min_size=1, max_size=3), values, max_size=2)),
        args=tuple(draw(st.lists(st.text(max_size=3), max_size=2))),
        objective=draw(st.sampled_from([None, "loss"])),
    )
    job_id, _, index = which.rpartition(".")
    planned = a_unit(
        int(index), id=which, job_id=job_id, work=work, needs=(1, 2), dependents=(3,), open_needs=frozenset({1, 2})
    )
    return replace(planned, **draw(changes)) if draw(st.booleans()) else planned


class Units(StoresPlayer):
    ports = {"units": UnitStore}
    tables = ("units", "gates")

    def __init__(self, *sides: Stores) -> None:
        super().__init__(*sides)
        # What was read or written, however long ago: whoever decides on an old one has to be refused.
        self.held: list[Unit] = []
        # The gates that are there, and the needs behind them.
        self.gated: set[tuple[str, int]] = set()
        self.gates: list[tuple[str, int]] = []

    def begin(self, kind: int) -> None:
        """Most sequences begin with units, and half of these with one that is at work."""
        if kind:
            self.add(tuple(a_unit(index, needs=(1, 2), open_needs=frozenset({1, 2})) for index in (0, 1)))
            self.get(IDS[0])
        if kind == 2:
            self.claim(0, a_lease(deadline=NOW + timedelta(seconds=30)))

    def readable(self, side: Stores) -> Any:
        return [
            (side.units.all_of(job), all_pages(lambda key, job=job: Artifacts(side.units).page(job, limit=2, key=key)))
            for job in JOBS
        ]

    def keep(self, unit: Unit | Refused | None) -> None:
        if isinstance(unit, Unit):
            self.held.append(unit)

    @operation(units=st.lists(units(), max_size=3).map(tuple))
    def add(self, units: tuple[Unit, ...]) -> None:
        self.both(lambda side: side.units.add_all(units))

    @operation(which=st.sampled_from(IDS))
    def get(self, which: str) -> None:
        self.keep(self.both(lambda side: side.units.get(which)))

    @operation(unit=units())
    def replace_what_was_never_read(self, unit: Unit) -> None:
        self.both(lambda side: side.units.replace(unit))

    @operation(needs="held", back=st.integers(0, 3), changes=changes)
    def replace(self, back: int, changes: dict[str, Any]) -> None:
        unit = replace(self.held[-1 - back % len(self.held)], **changes)
        self.keep(self.both(lambda side: side.units.replace(unit)))

    @operation(needs="held", back=st.integers(0, 3), lease=leases)
    def claim(self, back: int, lease: Any) -> None:
        """What the renewals need to find."""
        unit = replace(self.held[-1 - back % len(self.held)], status=UnitStatus.RUNNING, attempt=1, lease=lease)
        self.keep(self.both(lambda side: side.units.replace(unit)))

    @operation(
        needs="held",
        often=2,
        back=st.integers(0, 3),
        lease=st.one_of(st.none(), st.none(), st.builds(Lease, attempt=st.integers(1, 2), lease_token=st.sampled_from(TOKENS))),
        after=seconds,
        lasting=st.sampled_from([0.000001, 1.0, 60.0]),
        fraction=st.sampled_from([None, 0.0, 0.5, 1.0]),
        metrics=st.dictionaries(st.text(min_size=1, max_size=3), numbers, max_size=2),
    )
    def renew(self, back: int, lease: Lease | None, after: float, lasting: float, **told: Any) -> None:
        """With the lease that a held unit was claimed with, or with any."""
        unit = self.held[-1 - back % len(self.held)]
        token = unit.lease.token if unit.lease else TOKENS[0]
        shown = lease or Lease(attempt=max(1, unit.attempt), lease_token=token)
        now = NOW + timedelta(seconds=after)
        of = {"lease": shown, "now": now, "expires_at": now + timedelta(seconds=lasting)}
        progress = Progress(stage="running", **told)
        self.keep(self.both(lambda side: side.units.renew(unit.id, progress=progress, **of)))

    @operation(often=2, which=st.sampled_from(IDS), need=st.integers(0, 3), after=seconds)
    def open_edge(self, which: str, need: int, after: float) -> None:
        """Of a unit that is there: edges lead to no other."""
        if self.sides[0].units.get(which) is not None:
            now = NOW + timedelta(seconds=after)
            self.keep(self.both(lambda side: side.units.open_edge(which, need=need, now=now)))

    @operation(
        which=st.sampled_from(IDS),
        wanted=st.lists(st.integers(0, 20), min_size=8, max_size=10, unique=True).map(sorted),
        alone=st.sampled_from([200, 300]),
    )
    def add_gates(self, which: str, wanted: list[int], alone: int) -> None:
        """One full gate, and one with a single need behind it."""
        wanted = [*wanted, alone]
        gates = gates_of(which, tuple(wanted))
        self.both(lambda side: side.units.add_gates(gates))
        self.gates += [(which, need) for need in wanted if (which, gate_of(need)) not in self.gated]
        self.gated |= {(gate.unit_id, gate.number) for gate in gates}

    @operation(often=3, needs="gates", at=anything)
    def open_gate(self, at: int) -> None:
        """One of the needs behind a gate that is there, again and again."""
        which, need = self.gates[at % len(self.gates)]
        self.both(lambda side: side.units.open_gate(which, need=need))

    @operation(
        needs="held", back=st.integers(0, 3), outputs=st.lists(outputs, max_size=3, unique_by=lambda output: output.name)
    )
    def end(self, back: int, outputs: list[Output]) -> None:
        """What lists of artifacts need to find."""
        unit = replace(self.held[-1 - back % len(self.held)], status=UnitStatus.COMPLETED, outputs=tuple(outputs))
        self.keep(self.both(lambda side: side.units.replace(unit)))

    @operation(job=st.sampled_from(JOBS), limit=st.integers(1, 4), start=st.booleans())
    def page(self, job: str, limit: int, start: bool) -> None:
        self.both(lambda side: side.units.all_of(job))
        self.turn(f"units of {job}", lambda side, key: side.units.page(job, limit=limit, key=key), start=start)

    @operation(
        which=st.sampled_from(IDS),
        name=st.sampled_from(["a", "b"]),
        limit=st.integers(1, 4),
        most_rows=st.sampled_from([1, 2, 500]),
        start=st.booleans(),
    )
    def artifacts(self, which: str, name: str, limit: int, most_rows: int, start: bool) -> None:
        job = which.rpartition(".")[0]
        self.both(lambda side: Artifacts(side.units).get(job, f"{which}.{name}"))
        self.turn(
            f"artifacts of {job}",
            lambda side, key: Artifacts(side.units, most_rows=most_rows).page(job, limit=limit, key=key),
            start=start,
        )
