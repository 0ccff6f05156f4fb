"""Limits under callers that meet: whatever each one remembers, a bucket gives out its tokens once."""

import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from gpupool.clock import FixedClock
from gpupool.errors import Throttled
from gpupool.limits.decide import admit
from gpupool.limits.dynamo import DynamoLimitStore, admit_write
from gpupool.limits.model import Allowance, Bucket, Quota
from tests.local.workshop import Workshop

pytestmark = pytest.mark.stack

_CALLERS = 8
_TOKENS = Bucket("tokens", 20, 60)


@pytest.fixture
def table(workshop: Workshop) -> str:
    return workshop.table()


def test_a_bucket_gives_out_its_tokens_once(workshop: Workshop, table: str) -> None:
    """Every caller is an environment of its own: own client, own memory of the bucket."""
    clock, together = FixedClock(), threading.Barrier(_CALLERS)

    def call(_: int) -> list[int | None]:
        store = DynamoLimitStore(workshop.client("dynamodb"), table, clock)
        together.wait()
        return [store.take("ada", _TOKENS).retry_after for _ in range(5)]

    with ThreadPoolExecutor(_CALLERS) as callers:
        answers = [answer for each in callers.map(call, range(_CALLERS)) for answer in each]

    # Who loses every race for a while is told to come back in a second, never let in.
    assert answers.count(None) <= 20
    remaining = DynamoLimitStore(workshop.client("dynamodb"), table, clock)
    late = [remaining.take("ada", _TOKENS).retry_after for _ in range(21 - answers.count(None))]
    assert late == [None] * (20 - answers.count(None)) + [3]


def test_a_quota_lets_in_as_many_jobs_as_it_says(workshop: Workshop, table: str) -> None:
    clock, together = FixedClock(), threading.Barrier(_CALLERS)
    allowance = Allowance(live_jobs=3, units_per_day=100)

    def submit(number: int) -> bool:
        """As the service does: look, decide, write; look again when others were faster."""
        client = workshop.client("dynamodb")
        store, looked = DynamoLimitStore(client, table, clock), Quota("ada")
        together.wait()
        while True:
            try:
                admission = admit(looked, job_id=f"job-{number}", units=1, allowance=allowance, now=clock.now())
                client.transact_write_items(TransactItems=[{"Update": admit_write(table, admission)}])
            except Throttled:
                return False
            except client.exceptions.TransactionCanceledException:
                looked = store.quota("ada")
            else:
                return True

    with ThreadPoolExecutor(_CALLERS) as callers:
        created = sum(callers.map(submit, range(_CALLERS)))

    quota = DynamoLimitStore(workshop.client("dynamodb"), table, clock).quota("ada")
    assert (created, len(quota.live_jobs), quota.units_today) == (3, 3, 3)
