"""Customers: they submit, repeat themselves, change their minds, and run out of credits."""

from dataclasses import dataclass, field
from functools import partial
from random import Random

from bench.simulate.calls import Answer, Calls
from bench.simulate.deployment import Deployment
from bench.simulate.faults import Faults
from bench.simulate.loop import Loop
from bench.simulate.packages import a_dataset, a_package, some_manifest
from bench.simulate.violations import expect_equal
from gpupool.events.model import SUBSCRIBABLE
from gpupool.jobs.model import Sensitivity
from gpupool.jobs.submit import SubmitJob, Submitted
from gpupool.ledger.model import grant

_PACKAGES = 3
_VRAM = (*(0,) * 6, 8_000, 12_000, 24_000, 60_000)


@dataclass
class Customer:
    id: str
    packages: list[str] = field(default_factory=list)
    grants: int = 0


class Customers:
    """``wanted`` units are submitted by all of them together; ``done`` once they have been."""

    def __init__(self, random: Random, loop: Loop, faults: Faults, deployment: Deployment, *, wanted: int) -> None:
        self._random, self._loop, self._faults, self._deployment = random, loop, faults, deployment
        self._calls = Calls(loop, faults)
        self._wanted = wanted
        self._keys: dict[str, str] = {}
        self._requests = 0
        self._pace = random.choice((5, 30, 120))
        self._customers = [self._join(f"customer-{number}") for number in range(random.randint(1, 3))]

    @property
    def done(self) -> bool:
        return self._wanted <= 0

    def begin(self) -> None:
        for customer in self._customers:
            self._later(customer)

    def stop(self) -> None:
        self._wanted = 0

    def _join(self, customer_id: str) -> Customer:
        random, ports = self._random, self._deployment.ports
        customer = Customer(customer_id)
        ports.uploads.add(a_dataset(customer_id))
        for number in range(_PACKAGES):
            customer.packages.append(f"package-{number}")
            ports.uploads.add(a_package(customer_id, customer.packages[-1], some_manifest(random)))
        self._give(customer, random.choice((50, 500, 5_000, 50_000)))
        for number in range(random.choice((0, 0, 1, 2))):
            self._deployment.customer.webhooks.create(
                customer_id,
                url=f"https://example.com/{customer_id}/{number}",
                events=SUBSCRIBABLE if number == 0 else frozenset(random.sample(sorted(SUBSCRIBABLE), 3)),
                description="",
                idempotency_key=None,
            )
        return customer

    def _give(self, customer: Customer, amount: int) -> None:
        customer.grants += 1
        at = self._loop.clock.moment
        self._deployment.ledger.post(grant(customer_id=customer.id, grant_id=f"g-{customer.grants}", amount=amount, at=at))

    def _later(self, customer: Customer, seconds: float | None = None) -> None:
        wait = self._random.expovariate(1 / self._pace) if seconds is None else seconds
        self._loop.after(wait, "submit", customer.id, partial(self._submit_next, customer))

    def _submit_next(self, customer: Customer) -> None:
        if not self.done:
            self._requests += 1
            key = f"request-{self._requests:08d}" if self._random.random() < 0.6 else None
            self._submit(customer, self._some_request(customer), key)

    def _submit(self, customer: Customer, request: SubmitJob, key: str | None) -> None:
        answer = self._ask(customer, request, key)
        if answer.failed:
            # With a key the customer can simply repeat it; without one, who knows.
            self._loop.after(
                self._random.uniform(1, 9), "submit again", str(key), partial(self._submit, customer, request, key)
            )
            return
        if answer.refused == "CREDIT_INSUFFICIENT":
            self._loop.after(self._random.uniform(10, 100), "buy credits", customer.id, partial(self._give, customer, 2_000))
            self._later(customer, 120)
            return
        if answer.refused is not None:
            self._later(customer, self._random.uniform(30, 90))
            return
        submitted: Submitted = answer.value
        self._wanted -= sum(line.units for line in submitted.job.quote.lines)
        if key is not None and self._faults.happens("submit_again"):
            late = self._random.choice((0.0, 1.0, 400.0))
            other = self._random.random() < 0.2
            repeated = self._some_request(customer) if other else request
            self._loop.after(late, "submit again", key, partial(self._ask, customer, repeated, key))
        if self._faults.happens("cancel"):
            late = self._random.choice((0.0, 0.5, 20.0, 300.0)) * self._random.random()
            self._loop.after(late, "cancel", submitted.job.id, partial(self._cancel, customer, submitted.job.id))
        self._later(customer)

    def _ask(self, customer: Customer, request: SubmitJob, key: str | None) -> Answer:
        jobs = self._deployment.customer.jobs
        answer = self._calls.make(partial(jobs.submit, customer.id, request, idempotency_key=key))
        if key is not None and answer.value is not None:
            job_id = answer.value.job.id
            expect_equal(job_id, self._keys.setdefault(key, job_id), "one key makes one job")
        return answer

    def _cancel(self, customer: Customer, job_id: str) -> None:
        answer = self._calls.make(partial(self._deployment.customer.jobs.cancel, customer.id, job_id))
        if answer.failed:
            self._loop.after(2, "cancel again", job_id, partial(self._cancel, customer, job_id))

    def _some_request(self, customer: Customer) -> SubmitJob:
        random = self._random
        return SubmitJob(
            name="job",
            dataset_id="dataset-1",
            training_package_id=random.choice(customer.packages),
            required_vram_mb=random.choice(_VRAM),
            required_disk_mb=100,
            max_runtime_seconds=random.choice((60, 600, 7_200)),
            sensitivity=random.choice((Sensitivity.PUBLIC, Sensitivity.PUBLIC, Sensitivity.LOW_SENSITIVE)),
        )
