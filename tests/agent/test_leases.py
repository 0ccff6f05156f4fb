"""Keeping and losing leases: what heartbeats bring, and what their absence means."""

import multiprocessing
import threading
from pathlib import Path

import pytest

from gpupool.wire.capabilities import Gpu
from gpupool.wire.errors import NodeErrorCode
from gpupool.wire.units import HeartbeatRequest, HeartbeatResponse, UnitInstruction, UnitVerdict
from gpupool.wire.vocabulary import CapabilityClass, UnitRole
from node_agent.exit_codes import ExitCode
from node_agent.heartbeat import Heartbeat, PollHealth
from node_agent.in_hand import UnitInHand, UnitsInHand
from node_agent.log_shipper import LogShipper
from node_agent.sandbox.memory import Script
from node_agent.web import new_pool
from tests.agent.fake_control_plane import FakeControlPlane, FakeUnit, unit_id
from tests.agent.fake_http import UNAVAILABLE, refused
from tests.agent.harness import AgentInThread, eventually

HANGS = Script(output=b'{"progress": 0.25, "loss": 2.0}\n', hangs=True)


def start_hanging(control_plane: FakeControlPlane, agent: AgentInThread) -> FakeUnit:
    unit = control_plane.add_unit()
    agent.start(HANGS)
    eventually(lambda: agent.sandbox.started and unit.progress)
    return unit


def test_heartbeats_carry_progress_and_the_log(control_plane: FakeControlPlane, agent: AgentInThread) -> None:
    unit = start_hanging(control_plane, agent)
    seen = eventually(lambda: [progress for progress in unit.progress if progress["stage"] == "running"])[-1]
    assert (seen["fraction"], seen["metrics"]) == (0.25, {"progress": 0.25, "loss": 2.0})
    chunk = eventually(lambda: control_plane.blobs.get(f"/logs/{unit_id(1)}/1/000000.txt"))
    assert chunk == b'{"progress": 0.25, "loss": 2.0}\n'
    assert control_plane.heartbeats[-1]["last_poll_ok_at"]
    assert unit.doorway is not None
    assert [each["doorway"] for each in control_plane.heartbeats[-1]["units"]] == [unit.doorway]


def test_log_chunks_follow_each_other_without_a_gap(control_plane: FakeControlPlane, agent: AgentInThread) -> None:
    control_plane.trouble("put", UNAVAILABLE)
    start_hanging(control_plane, agent)
    first = eventually(lambda: control_plane.blobs.get(f"/logs/{unit_id(1)}/1/000000.txt"))
    agent.sandbox.say(b"and more\n")
    second = eventually(lambda: control_plane.blobs.get(f"/logs/{unit_id(1)}/1/000001.txt"))
    assert first + second == b'{"progress": 0.25, "loss": 2.0}\nand more\n'


@pytest.mark.parametrize("verdict", [UnitVerdict.CANCEL, UnitVerdict.LEASE_LOST])
def test_a_unit_ends_within_a_heartbeat_of_the_order_and_is_not_reported(
    verdict: UnitVerdict, control_plane: FakeControlPlane, agent: AgentInThread
) -> None:
    unit = start_hanging(control_plane, agent)
    unit.verdict = verdict
    eventually(lambda: agent.sandbox.started[0].cancelled, within=control_plane.heartbeat_seconds + 1.0)
    eventually(lambda: not list(agent.work_root.iterdir()))
    assert (unit.completed, unit.failures) == (None, [])
    other = control_plane.add_unit(2)
    eventually(lambda: other.completed, what="the lane is free again")


def test_a_unit_taken_by_others_is_noticed_at_the_report(control_plane: FakeControlPlane, agent: AgentInThread) -> None:
    control_plane.trouble("complete", refused(409, NodeErrorCode.LEASE_LOST))
    unit = control_plane.add_unit()
    agent.start()
    eventually(lambda: control_plane.calls["complete"] and not list(agent.work_root.iterdir()))
    assert unit.failures == []


def test_out_of_reach_is_not_dead(control_plane: FakeControlPlane, agent: AgentInThread) -> None:
    unit = start_hanging(control_plane, agent)
    control_plane.unreachable = True
    failed = control_plane.calls["heartbeat"]
    eventually(lambda: control_plane.calls["heartbeat"] >= failed + 3)
    assert not agent.sandbox.started[0].cancelled
    agent.sandbox.started[0].finish()
    eventually(lambda: control_plane.calls["outputs"])
    control_plane.unreachable = False
    eventually(lambda: unit.completed)
    assert unit.attempt == 1


def test_work_whose_lease_surely_lapsed_is_killed_and_not_reported(
    control_plane: FakeControlPlane, agent: AgentInThread
) -> None:
    control_plane.lease_seconds = 2
    agent.settings["lease_grace_seconds"] = 0.5
    unit = start_hanging(control_plane, agent)
    control_plane.unreachable = True
    eventually(lambda: agent.sandbox.started[0].cancelled)
    eventually(lambda: not list(agent.work_root.iterdir()))
    control_plane.unreachable = False
    assert (unit.completed, unit.failures) == (None, [])
    other = control_plane.add_unit(2)
    eventually(lambda: other.completed, within=30)


def test_a_second_lease_on_a_unit_ends_the_work_under_the_first(control_plane: FakeControlPlane, agent: AgentInThread) -> None:
    agent.settings["cpu_slots"] = 2
    unit = start_hanging(control_plane, agent)
    unit.status = "queued"  # the control plane saw the lease lapse
    control_plane.ring(unit.unit_id)
    eventually(lambda: unit.completed)
    assert agent.sandbox.started[0].cancelled
    assert unit.attempt == 2


def test_a_unit_reported_while_a_beat_is_under_way_is_not_lost(control_plane: FakeControlPlane, tmp_path: Path) -> None:
    grant = control_plane.grant(FakeUnit(unit_id=unit_id(1), role=UnitRole.TRAIN, fields={}, attempt=1, lease_token="t"))
    in_hand = UnitsInHand()
    unit = UnitInHand(grant, folder=tmp_path, lease_ends=0.0)
    in_hand.add(unit)

    class ReportsMeanwhile:
        def heartbeat(self, _request: HeartbeatRequest) -> HeartbeatResponse:
            in_hand.remove(unit)
            lost = UnitInstruction(unit_id=unit.unit_id, verdict=UnitVerdict.LEASE_LOST)
            return HeartbeatResponse(units=[lost], heartbeat_seconds=1)

    Heartbeat(
        ReportsMeanwhile(),
        in_hand=in_hand,
        shipper=LogShipper(new_pool()),
        health=PollHealth(),
        draining=threading.Event(),
        lease_seconds=lambda: 60,
        grace_seconds=0,
    ).beat()
    assert not unit.abandoned.is_set()


def test_a_revoked_node_stops_for_good(control_plane: FakeControlPlane, agent: AgentInThread) -> None:
    start_hanging(control_plane, agent)
    control_plane.trouble("heartbeat", *[refused(403, NodeErrorCode.NODE_REVOKED)] * 20)
    assert agent.wait() is ExitCode.REFUSED
    assert agent.sandbox.started[0].cancelled


def test_being_revoked_at_the_report_stops_the_agent(control_plane: FakeControlPlane, agent: AgentInThread) -> None:
    control_plane.trouble("complete", refused(403, NodeErrorCode.NODE_REVOKED))
    control_plane.add_unit()
    agent.start()
    assert agent.wait() is ExitCode.REFUSED


def test_a_node_that_is_refused_credentials_does_not_insist(control_plane: FakeControlPlane, agent: AgentInThread) -> None:
    control_plane.trouble("credentials", refused(422, NodeErrorCode.VALIDATION_FAILED))
    agent.start()
    assert agent.wait() is ExitCode.REFUSED
    assert control_plane.calls["credentials"] == 1


def test_a_device_key_that_is_not_known_stops_the_agent(control_plane: FakeControlPlane, agent: AgentInThread) -> None:
    agent.device_key = "nk_other_key"
    agent.start()
    assert agent.wait() is ExitCode.REFUSED


def test_a_gpu_lane_works_beside_a_busy_cpu_lane(control_plane: FakeControlPlane, agent: AgentInThread) -> None:
    control_plane.capabilities = [CapabilityClass.CPU, CapabilityClass.GPU_8G]
    agent.gpus = [Gpu(name="a card", vram_mb=10_000)]
    start_hanging(control_plane, agent)
    waiting = control_plane.add_unit(2)
    on_gpu = control_plane.add_unit(3, ring="public-gpu-8g", required_vram_mb=8000)
    eventually(lambda: on_gpu.completed)
    assert waiting.status == "queued"
    agent.sandbox.started[0].finish()
    eventually(lambda: waiting.completed)


def test_a_machine_without_gpu_does_not_listen_to_gpu_queues(control_plane: FakeControlPlane, agent: AgentInThread) -> None:
    control_plane.capabilities = [CapabilityClass.GPU_8G]
    agent.start()
    assert agent.wait() is ExitCode.REFUSED
    assert control_plane.calls["receive"] == 0


def _burn(stop: "multiprocessing.synchronize.Event") -> None:
    while not stop.is_set():
        sum(range(10_000))


def test_a_busy_machine_keeps_its_heart_beating(control_plane: FakeControlPlane, agent: AgentInThread) -> None:
    context = multiprocessing.get_context("fork")
    stop = context.Event()
    burners = [context.Process(target=_burn, args=(stop,), daemon=True) for _ in range(4)]
    start_hanging(control_plane, agent)
    for burner in burners:
        burner.start()
    try:
        before = len(control_plane.heartbeats)
        threading.Event().wait(4.0)
        beats = len(control_plane.heartbeats) - before
    finally:
        stop.set()
        for burner in burners:
            burner.join(5)
    assert beats >= 3
