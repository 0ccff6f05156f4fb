"""What the control plane does with a doorway that a heartbeat or a report says again: it is a hint, the lease decides."""

from gpupool.jobs.model import Sensitivity
from gpupool.nodes.model import Tier
from gpupool.wire.units import CompleteRequest, Doorway, HeartbeatRequest, ReportResponse, RunningUnit, UnitGrant
from tests.platform import LEASE_SECONDS, Machine, Platform, lease_of
from tests.unit.units.test_leases import queued, refused, with_broken_queue


def say(machine: Machine, platform: Platform, grant: UnitGrant, doorway: Doorway | None) -> tuple[str, ReportResponse]:
    """The verdict on a beat and the answer to a report, both of which name ``doorway``."""
    running = RunningUnit(unit_id=grant.unit_id, lease=lease_of(grant), doorway=doorway)
    beat = platform.node.leases.heartbeat(machine.worker, HeartbeatRequest(units=[running]))
    report = CompleteRequest(lease=lease_of(grant), doorway=doorway, outputs=[], runtime_seconds=1)
    return beat.units[0].verdict, platform.node.leases.complete(machine.worker, grant.unit_id, report)


def test_a_bell_whose_doorway_is_not_said_again_rings_once_more_and_is_silenced() -> None:
    platform, machine, _ = queued()
    grant = machine.take()

    verdict, report = say(machine, platform, grant, None)

    assert (verdict, report.accepted) == ("continue", True)
    assert platform.bells() == 1
    platform.tick(LEASE_SECONDS + 1)
    assert refused(Machine(platform).take) == "UNIT_GONE"
    assert platform.bells() == 0


def test_a_doorway_to_a_queue_that_is_not_the_machines_is_ignored_by_beats_and_reports() -> None:
    platform, machine, _ = queued()
    grant = machine.take()
    secret = platform.submit(sensitivity=Sensitivity.LOW_SENSITIVE)
    platform.settle()
    others = Machine(platform, tier=Tier.CONTROLLED).receive()
    assert others is not None
    assert others.bell.job_id == secret.id
    assert others.doorway.queue_url not in machine.worker.queue_urls

    verdict, report = say(machine, platform, grant, others.doorway)

    assert (verdict, report.accepted) == ("continue", True)
    platform.tick(31)  # neither hidden for a lease nor silenced
    assert platform.ports.queue.receive(others.doorway.queue_url) is not None


def test_a_report_that_is_repeated_silences_the_bell_that_the_first_one_left() -> None:
    platform, machine, queue = with_broken_queue(())
    grant = machine.take()
    queue.broken = True
    assert machine.complete(grant).accepted
    queue.broken = False
    assert platform.bells() == 1

    assert not machine.complete(grant).accepted

    assert platform.bells() == 0
