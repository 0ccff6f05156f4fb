"""What customers and machines do in an undisturbed world. A run must end as it says here whatever goes wrong on the way."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any

from gpupool import bootstrap
from gpupool.wire.failures import FailureCode
from tests.cloud import rows
from tests.cloud.people import PASSWORD, SINGLE_UNIT
from tests.factories import SINGLE, dag
from tests.faults.world import COMPLETE, DECLINE, VANISH, World

Json = Any
Scenario = Callable[[World], None]
# The smallest first: a point is tried where it is met first, and short runs are cheap.
SCENARIOS: dict[str, Scenario] = {}

FAN = dag((), (0,), (0,), (1, 2))
# More needs than a unit's row keeps, so that it gathers through gates.
GATHERING = dag(*[()] * 9, tuple(range(9)))
# More dependents than one stream record opens.
WIDE = dag((), *[(0,)] * 26)
CHAIN = dag((), (0,))
RECEIVER = "https://receiver.example/hook"


def scenario(run: Scenario) -> Scenario:
    SCENARIOS[run.__name__.replace("_", " ")] = run
    return run


@scenario
def one_unit(world: World) -> None:
    customer = world.customer()
    world.worker(beats=True)
    world.rival()
    job_id = world.submit(customer, customer.inputs(SINGLE_UNIT))
    customer.job(job_id)
    world.finish()


@scenario
def a_unit_fails_for_good(world: World) -> None:
    customer = world.customer()
    world.worker(lambda _grant: FailureCode.SCRIPT_FAILED)
    world.submit(customer, customer.inputs(), ends=("failed",))
    world.finish()


@scenario
def a_unit_fails_at_once_with_its_log(world: World) -> None:
    customer = world.customer()
    world.worker(lambda _grant: FailureCode.NO_MODEL)
    world.submit(customer, customer.inputs(CHAIN), ends=("failed",))
    world.finish()


@scenario
def a_machine_fails_a_unit_and_another_completes_it(world: World) -> None:
    customer = world.customer()
    world.worker(lambda grant: FailureCode.SANDBOX_FAILED if grant["attempt"] == 1 else COMPLETE)
    world.worker()
    world.submit(customer, customer.inputs())
    world.finish()


@scenario
def a_lapsed_lease_is_taken_over(world: World) -> None:
    customer = world.customer()
    silent = world.worker(lambda grant: VANISH if grant["attempt"] == 1 else COMPLETE)
    world.submit(customer, customer.inputs())
    world.work()
    world.workers.remove(silent)
    world.worker()
    world.finish()
    # Long after, the silent one wakes up and reports.
    for grant in silent.grants:
        silent.machine.heartbeat(grant)
        silent.machine.send(f"/units/{grant['unit_id']}/inputs", {"lease": {"attempt": 1, "lease_token": "made-up"}})
        silent.machine.complete(grant)
        silent.machine.fail(grant)


@scenario
def every_lease_lapses(world: World) -> None:
    customer = world.customer()
    world.worker(lambda _grant: VANISH)
    world.submit(customer, customer.inputs(), ends=("failed",))
    world.finish()


@scenario
def a_cancel_before_anybody_works(world: World) -> None:
    customer = world.customer()
    job_id = world.submit(customer, customer.inputs(CHAIN), ends=("cancelled",))
    world.cloud.settle()
    assert customer.cancel(job_id).status in (200, 202, 409)
    world.finish()


@scenario
def a_cancel_while_a_unit_runs(world: World) -> None:
    customer = world.customer()
    worker = world.worker(lambda _grant: VANISH)
    job_id = world.submit(customer, customer.inputs(CHAIN), ends=("cancelled",))
    world.work()
    assert customer.cancel(job_id).status in (200, 202, 409)
    world.cloud.settle()
    for grant in worker.grants:
        assert worker.machine.heartbeat(grant)[grant["unit_id"]] in ("cancel", "lease_lost")
    world.finish()


@scenario
def a_cancel_right_after_the_submit(world: World) -> None:
    customer = world.customer()
    job_id = world.submit(customer, customer.inputs(), ends=("cancelled",))
    assert customer.cancel(job_id).status in (200, 202, 409)
    world.finish()


@scenario
def the_credits_run_low(world: World) -> None:
    customer = world.customer(credits=105)
    world.worker()
    world.submit(customer, customer.inputs())
    world.finish()


@scenario
def an_operator_stops_the_execution(world: World) -> None:
    customer = world.customer()
    world.submit(customer, customer.inputs(), ends=("failed",))
    world.cloud.settle()
    for execution in list(world.cloud.states.executions.values()):
        world.cloud.states.stop(execution)
    world.finish()


@scenario
def a_bell_that_nobody_hears_ends_among_the_dead_letters(world: World) -> None:
    customer = world.customer()
    deaf = world.worker()
    world.workers.remove(deaf)
    world.submit(customer, customer.inputs())
    world.cloud.settle()
    for _ in range(25):
        deaf.machine.receive()
        world.cloud.pass_time(31)
    world.worker()
    world.finish()


@scenario
def a_unit_that_nobody_takes_for_a_day(world: World) -> None:
    customer = world.customer()
    world.submit(customer, customer.inputs(), ends=("failed",))
    world.finish()


@scenario
def a_machine_declines(world: World) -> None:
    customer = world.customer()
    unwilling = world.worker(lambda _grant: DECLINE)
    world.submit(customer, customer.inputs())
    world.cloud.settle()
    heard = unwilling.machine.receive()
    if heard is not None:
        unwilling.machine.send(f"/units/{heard.bell.unit_id}/decline", {"doorway": heard.doorway})
    world.workers.remove(unwilling)
    world.worker()
    world.finish()


@scenario
def a_fan_that_joins_again(world: World) -> None:
    customer = world.customer()
    world.worker()
    world.submit(customer, customer.inputs(FAN))
    world.finish()


@scenario
def a_unit_that_gathers(world: World) -> None:
    customer = world.customer()
    world.worker()
    world.submit(customer, customer.inputs(GATHERING))
    world.finish()


@scenario
def a_unit_that_many_wait_for(world: World) -> None:
    """What runs afterwards is nothing new, so it is cancelled: then as before, every unit ends once."""
    customer = world.customer()
    worker = world.worker()
    job_id = world.submit(customer, customer.inputs(WIDE), ends=("cancelled",))
    world.cloud.settle()
    grant = worker.machine.take()
    world.workers.remove(worker)
    if grant is not None:
        worker.machine.complete(grant)
    world.cloud.settle()
    assert customer.cancel(job_id).status in (200, 202, 409)
    world.finish()


@scenario
def a_former_holder_goes_on_beating(world: World) -> None:
    """It must not keep alive the lease of whoever came after it and fell silent as well."""
    customer = world.customer()
    former = world.worker(lambda _grant: VANISH)
    world.submit(customer, customer.inputs())
    world.work()
    world.workers.remove(former)
    successor = world.worker(lambda _grant: VANISH)
    world.cloud.pass_time(world.lease_seconds + 2)
    world.work()
    world.workers.remove(successor)
    world.worker()
    for _ in range(40):
        for grant in former.grants:
            former.machine.heartbeat(grant)
        world.cloud.pass_time(2)
        world.work()
    if rows.jobs()[0].is_live:
        world.violations.append("a former holder keeps the unit from everybody")
    world.finish()


@scenario
def a_bell_is_lost_and_found(world: World) -> None:
    world.on_schedule("reconcile")
    customer = world.customer()
    worker = world.worker()
    world.workers.remove(worker)
    world.submit(customer, customer.inputs())
    world.cloud.settle()
    world.forgotten = True
    for url in worker.machine.queue_urls:
        world.cloud.deployment.sqs.purge_queue(QueueUrl=url)
    world.workers.append(worker)
    world.finish()


@scenario
def records_are_given_up_and_found(world: World) -> None:
    world.on_schedule("reconcile")
    world.gives_up = True
    customer = world.customer()
    worker = world.worker()
    job_id = world.submit(customer, customer.inputs())
    world.cloud.settle()
    grant = worker.machine.take()
    world.workers.remove(worker)
    if grant is not None:
        worker.machine.complete(grant)
    world.forgotten = True
    for source in world.cloud.sources.streams:
        source.lose()
    world.workers.append(worker)
    world.finish()
    world.cloud.pass_time(1_500)
    assert rows.events(job_id)


@scenario
def an_execution_is_lost_and_found(world: World) -> None:
    world.on_schedule("reconcile")
    world.forgotten = True
    customer = world.customer()
    world.submit(customer, customer.inputs(), ends=("failed",))
    world.cloud.settle()
    for execution in list(world.cloud.states.executions.values()):
        world.cloud.states.stop(execution)
    world.cloud.reactions.clear()
    world.finish()


@scenario
def a_model_is_trained_and_packed(world: World) -> None:
    customer = world.customer()
    world.worker()
    world.rival()
    job_id = world.submit(customer, customer.inputs(SINGLE))
    world.finish()
    for artifact in customer.expect(200, "GET", f"/training-jobs/{job_id}/artifacts")["data"]:
        customer.expect(200, "POST", f"/training-jobs/{job_id}/artifacts/{artifact['id']}/download-url", once=False)


@scenario
def a_receiver_is_told_at_the_third_attempt(world: World) -> None:
    world.on_schedule("sweep_webhooks")
    fails_until = world.cloud.clock.now() + timedelta(minutes=4)
    world.cloud.receivers.answer = lambda _url, at: 503 if at < fails_until else 200
    customer = world.customer()
    world.worker()
    _webhook(world)
    world.submit(customer, customer.inputs())
    world.finish()


@scenario
def a_receiver_is_gone_for_good(world: World) -> None:
    world.on_schedule("sweep_webhooks")
    world.disables_receivers = True
    world.cloud.receivers.answer = lambda _url, _at: 410
    customer = world.customer()
    world.worker()
    endpoint = _webhook(world)
    world.submit(customer, customer.inputs())
    world.finish()
    world.cloud.receivers.answer = lambda _url, _at: 200
    customer.expect(200, "PATCH", f"/webhooks/{endpoint}", {"enabled": True})
    for row in rows.rows("deliveries"):
        customer.send("POST", f"/webhooks/{endpoint}/deliveries/{row['delivery_id']}/replay", once=False)
    world.finish()


@scenario
def a_webhook_is_tried_out_and_changed(world: World) -> None:
    world.on_schedule("sweep_webhooks")
    customer = world.customer()
    endpoint = _webhook(world)
    customer.expect(202, "POST", f"/webhooks/{endpoint}/test")
    customer.send("POST", f"/webhooks/{endpoint}/rotate-secret")
    world.finish()
    for row in rows.rows("deliveries"):
        customer.expect(200, "GET", f"/webhooks/{endpoint}/deliveries/{row['delivery_id']}")
    customer.send("DELETE", f"/webhooks/{endpoint}")


@scenario
def an_account_is_opened_and_used(world: World) -> None:
    invited = bootstrap.build_tickets(world.cloud.ports).invite(email="new@example.org", name="New", credits=500)
    customer = world.customer()
    body = {"token": invited.token, "password": PASSWORD, "name": "New"}
    customer.send("POST", "/auth/accept-invitation", body, once=False)
    login = customer.expect(200, "POST", "/auth/login", {"email": "new@example.org", "password": PASSWORD}, once=False)
    token = login["session_token"]
    made = customer.expect(201, "POST", "/api-keys", {"name": "mine", "scopes": ["dataset:write"]}, token=token)
    customer.expect(204, "DELETE", f"/api-keys/{made['id']}", token=token)
    customer.send("POST", "/auth/logout", token=token, once=False)


@scenario
def uploads_come_and_go(world: World) -> None:
    customer = world.customer()
    dataset = customer.upload("datasets", b"rows")
    customer.send("DELETE", f"/datasets/{dataset}")
    customer.expect(200, "GET", "/datasets")
    customer.expect(200, "GET", "/usage/summary")


def _webhook(world: World) -> str:
    wanted = {"url": RECEIVER, "events": ["job.started", "job.completed", "unit.completed"]}
    return str(world.customers[0].expect(201, "POST", "/webhooks", wanted)["id"])
