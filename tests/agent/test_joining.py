"""Joining the pool: settings, files on disk, capabilities, host checks, and the calls that carry them."""

import json
import threading
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace

import pytest

from gpupool.wire.capabilities import Capabilities, Gpu
from gpupool.wire.errors import NodeErrorCode
from gpupool.wire.joining import CredentialsRequest, CredentialsResponse, QueueGrant
from gpupool.wire.vocabulary import CapabilityClass
from node_agent.capabilities import find_gpus, measure_capabilities, read_gpus
from node_agent.checks import Level, check_clock, check_disk, check_gpu, check_sandbox
from node_agent.checks.disk import judge_disk
from node_agent.control_plane import ControlPlane, next_move
from node_agent.credentials import CredentialKeeper
from node_agent.errors import (
    AgentError,
    LeaseLostError,
    NotPairedError,
    OutputMissingError,
    RecoverableError,
    RefusedError,
    StateDirInUseError,
    UnitGoneError,
    UnrecoverableError,
)
from node_agent.heartbeat import Heartbeat, PollHealth
from node_agent.in_hand import UnitsInHand
from node_agent.sandbox.memory import MemorySandbox
from node_agent.settings import SettingsError, load_settings
from node_agent.speed import SPEED_FILE, measured_gflops
from node_agent.state import Identity, StateDir, write_private
from node_agent.web import new_pool
from tests.agent.fake_control_plane import DEVICE_KEY, FakeControlPlane
from tests.agent.fake_http import Answer, Trouble, refusal
from tests.agent.harness import AgentInThread, eventually

IDENTITY = Identity(node_id="node-1", device_key=DEVICE_KEY, api="https://pool.example", tier="community", name="box")

# Settings


def test_the_command_line_wins_over_the_environment_and_that_over_the_file(tmp_path: Path) -> None:
    (tmp_path / "agent.toml").write_text('cpu_slots = 2\ncache_limit_mb = 5\nlog_level = "debug"\n')
    settings = load_settings(
        cli={"state_dir": str(tmp_path), "cpu_slots": 4, "log_level": None},
        environ={"GPU_AGENT_CPU_SLOTS": "3", "GPU_AGENT_CACHE_LIMIT_MB": "7", "GPU_AGENT_PASSWORD": "another tool's"},
    )
    assert (settings.cpu_slots, settings.cache_limit_mb, settings.log_level) == (4, 7, "debug")
    assert settings.work_root == tmp_path / "work"


@pytest.mark.parametrize(
    ("file", "complaint"),
    [
        ("cpu_slot = 2", "cpu_slot"),
        ("allow_unsandboxed = true", "allow_unsandboxed"),
        ("cpu_slots = 0", "cpu_slots"),
        ("cpu_slots =", "agent.toml"),
        ('state_dir = "/elsewhere"', "state_dir"),
    ],
)
def test_a_wrong_setting_is_named(file: str, complaint: str, tmp_path: Path) -> None:
    (tmp_path / "agent.toml").write_text(file)
    with pytest.raises(SettingsError, match=complaint):
        load_settings(cli={"state_dir": tmp_path}, environ={})


def test_the_state_directory_has_no_default() -> None:
    with pytest.raises(SettingsError, match="--state-dir"):
        load_settings(cli={}, environ={})


# Files


def test_the_identity_is_private_and_comes_back(tmp_path: Path) -> None:
    state = StateDir(tmp_path / "state")
    state.create()
    state.save_identity(IDENTITY)
    assert state.identity() == IDENTITY
    assert (state.path / "identity.json").stat().st_mode & 0o777 == 0o600
    assert state.path.stat().st_mode & 0o777 == 0o700


@pytest.mark.parametrize("content", ["", "[]", "{}", '{"node_id": "n", "device_key": "nk_very_secret"}'])
def test_a_damaged_identity_says_what_to_do_and_not_what_it_held(content: str, tmp_path: Path) -> None:
    (tmp_path / "identity.json").write_text(content)
    with pytest.raises(NotPairedError, match="pair") as caught:
        StateDir(tmp_path).identity()
    assert "nk_very_secret" not in str(caught.value)


def test_a_file_is_replaced_whole_or_not_at_all(tmp_path: Path) -> None:
    target = tmp_path / "file"
    write_private(target, b"old")
    with pytest.raises(TypeError):
        write_private(target, "not bytes")  # type: ignore[arg-type]
    assert target.read_bytes() == b"old"
    assert [path.name for path in tmp_path.iterdir()] == ["file"]


def test_a_state_directory_belongs_to_one_agent(tmp_path: Path) -> None:
    with StateDir(tmp_path).locked(), pytest.raises(StateDirInUseError), StateDir(tmp_path).locked():
        pass
    with StateDir(tmp_path).locked():
        pass


# Capabilities and checks


def test_capabilities_are_those_of_this_host(tmp_path: Path) -> None:
    state = StateDir(tmp_path)
    gflops = measured_gflops(state)
    found = measure_capabilities(work_root=tmp_path, sandbox="bubblewrap", gflops=gflops, gpus=find_gpus())
    assert found.cpu_count >= 1
    assert found.memory_mb > 100
    assert found.disk_free_mb > 0
    assert 0.001 < found.gflops < 1000
    assert measured_gflops(state) == gflops, "measured once"
    (tmp_path / "speed.json").write_text('{"gflops": -1}')
    assert measured_gflops(state) > 0


def test_a_speed_that_cannot_be_kept_is_measured_all_the_same(tmp_path: Path) -> None:
    state = StateDir(tmp_path)
    (tmp_path / SPEED_FILE).mkdir()
    assert measured_gflops(state) > 0


class FakeNvml:
    """A driver with two cards, or one that broke down after it was loaded."""

    class NVMLError(Exception):
        pass

    def __init__(self, *, broken: bool = False) -> None:
        self.broken = broken
        self.is_open = False

    def nvmlInit(self) -> None:  # noqa: N802 - the library's names
        self.is_open = True

    def nvmlShutdown(self) -> None:  # noqa: N802
        self.is_open = False

    def nvmlDeviceGetCount(self) -> int:  # noqa: N802
        if self.broken:
            raise self.NVMLError("GPU is lost")
        return 2

    def nvmlDeviceGetHandleByIndex(self, index: int) -> int:  # noqa: N802
        return index

    def nvmlDeviceGetName(self, handle: int) -> str | bytes:  # noqa: N802
        return [b"old card", "new card"][handle]

    def nvmlDeviceGetMemoryInfo(self, handle: int) -> SimpleNamespace:  # noqa: N802
        return SimpleNamespace(total=(handle + 1) * 25_769_803_776)


def test_gpus_are_read_from_nvml() -> None:
    nvml = FakeNvml()
    assert [(gpu.name, gpu.vram_mb) for gpu in read_gpus(nvml)] == [("old card", 25_769), ("new card", 51_539)]
    assert not nvml.is_open
    assert read_gpus(FakeNvml(broken=True)) == []


def test_a_gpu_is_shown_with_the_classes_it_serves(tmp_path: Path) -> None:
    found = check_gpu([Gpu(name="small", vram_mb=8_500), Gpu(name="large", vram_mb=25_700)])
    assert found.level is Level.OK
    assert "cpu, gpu-8g, gpu-16g, gpu-24g" in found.message
    assert check_gpu([], device=tmp_path / "absent").level is Level.OK
    assert check_gpu([], device=tmp_path).level is Level.WARNING


@pytest.mark.parametrize(
    ("skew", "level"), [(None, Level.WARNING), (-3.0, Level.OK), (90.0, Level.WARNING), (-3600.0, Level.PROBLEM)]
)
def test_a_wrong_clock_is_found(skew: float | None, level: Level) -> None:
    assert check_clock(skew).level is level


def test_disk_and_sandbox(tmp_path: Path) -> None:
    assert [judge_disk(free_mb=free).level for free in (10, 5_000, 50_000)] == [Level.PROBLEM, Level.WARNING, Level.OK]
    assert check_disk(tmp_path).check == "disk"
    assert [finding.level for finding in check_sandbox(MemorySandbox())] == [Level.OK]
    assert [finding.message for finding in check_sandbox(MemorySandbox(problems=["install bwrap"]))] == ["install bwrap"]


def test_the_control_planes_clock_is_read_from_any_answer(control_plane: FakeControlPlane) -> None:
    client = ControlPlane(api=control_plane.url, device_key=None, pool=new_pool())
    assert client.skew_seconds is None
    skew = client.measure_skew()
    assert skew is not None
    assert abs(skew) < 5


# What an answer means


@pytest.mark.parametrize(
    ("code", "expected"),
    [
        (NodeErrorCode.PAIRING_CODE_INVALID, UnrecoverableError),
        (NodeErrorCode.NODE_AUTH_REQUIRED, UnrecoverableError),
        (NodeErrorCode.NODE_REVOKED, UnrecoverableError),
        (NodeErrorCode.PROTOCOL_UNSUPPORTED, UnrecoverableError),
        (NodeErrorCode.UNIT_GONE, UnitGoneError),
        (NodeErrorCode.UNIT_LEASED, UnitGoneError),
        (NodeErrorCode.UNIT_NOT_SUITABLE, UnitGoneError),
        (NodeErrorCode.LEASE_LOST, LeaseLostError),
        (NodeErrorCode.OUTPUT_MISSING, OutputMissingError),
        (NodeErrorCode.VALIDATION_FAILED, RefusedError),
        (NodeErrorCode.INTERNAL_ERROR, RecoverableError),
    ],
)
def test_every_code_of_the_wire_has_a_next_move(code: NodeErrorCode, expected: type[AgentError]) -> None:
    assert type(next_move(status=409, body=refusal(409, code).body, retry_after=None)) is expected


def test_all_codes_are_covered_by_the_test_above() -> None:
    assert len(NodeErrorCode) == 11


@pytest.mark.parametrize(
    ("status", "body", "expected"),
    [
        (503, b"", RecoverableError),
        (502, b"<html>bad gateway</html>", RecoverableError),
        (403, b'{"message": "Forbidden"}', RecoverableError),
        (401, b"a proxy's page", RecoverableError),
        (429, refusal(429, NodeErrorCode.VALIDATION_FAILED).body, RecoverableError),
        (500, refusal(500, NodeErrorCode.LEASE_LOST).body, RecoverableError),
        (400, b'{"error": {"code": "FROM_THE_FUTURE", "message": "?"}}', RefusedError),
        (400, b'{"error": []}', RecoverableError),
    ],
)
def test_what_others_answer_says_nothing_about_the_node(status: int, body: bytes, expected: type[AgentError]) -> None:
    assert type(next_move(status=status, body=body, retry_after=None)) is expected


@pytest.mark.parametrize("page", [b"<html>please sign in</html>", b"{}", b""])
def test_a_page_that_answers_200_is_no_answer(page: bytes, control_plane: FakeControlPlane, agent: AgentInThread) -> None:
    control_plane.trouble("credentials", Trouble(instead=Answer(body=page, media_type="text/html")))
    agent.start()
    eventually(lambda: control_plane.heartbeats)
    assert control_plane.calls["credentials"] == 2


def test_the_wait_that_the_control_plane_asks_for_is_kept(control_plane: FakeControlPlane) -> None:
    control_plane.trouble("credentials", Trouble(instead=Answer(status=429, retry_after="7")))
    client = ControlPlane(api=control_plane.url, device_key=DEVICE_KEY, pool=new_pool())
    with pytest.raises(RecoverableError) as caught:
        client.credentials(CredentialsRequest(capabilities=Capabilities(cpu_count=1, memory_mb=1, disk_free_mb=1)))
    assert caught.value.retry_after == 7.0


# Credentials


class Issuer:
    """Hands out keys for an hour by its own clock, ``ahead`` seconds off the node's."""

    def __init__(self) -> None:
        self.time = 0.0
        self.issued = 0
        self.urls = ["https://queues.example/a"]

    def now(self) -> datetime:
        return datetime(2026, 1, 1, tzinfo=UTC) + timedelta(seconds=self.time)

    def fetch(self) -> CredentialsResponse:
        self.issued += 1
        return CredentialsResponse(
            access_key_id=f"key-{self.issued}",
            secret_access_key="s",
            session_token="t",
            expires_at=self.now() + timedelta(hours=1),
            region="eu-west-1",
            queues=[QueueGrant(capability=CapabilityClass.CPU, pool="public", url=url) for url in self.urls],
            heartbeat_seconds=15,
            lease_seconds=60,
        )


def keeper_for(issuer: Issuer, *, ahead: float = 0.0) -> CredentialKeeper:
    return CredentialKeeper(
        issuer.fetch,
        skew_seconds=lambda: ahead,
        clock=lambda: issuer.time,
        now=lambda: issuer.now() + timedelta(seconds=ahead),
    )


@pytest.mark.parametrize("ahead", [0.0, 7200.0, -7200.0])
def test_keys_are_renewed_well_before_they_expire_whatever_this_clock_says(ahead: float) -> None:
    issuer = Issuer()
    keeper = keeper_for(issuer, ahead=ahead)
    keeper.current()
    issuer.time = 2600.0
    assert keeper.current().grant.access_key_id == "key-1"
    issuer.time = 2701.0
    assert keeper.current().grant.access_key_id == "key-2"


def test_refused_keys_are_replaced_once_however_many_pollers_complain() -> None:
    issuer = Issuer()
    keeper = keeper_for(issuer)
    old = keeper.current()
    for _ in range(5):
        keeper.refuse(old.generation)
        assert keeper.current().grant.access_key_id == "key-2"


def test_new_queues_are_told_to_those_who_poll() -> None:
    issuer = Issuer()
    keeper = keeper_for(issuer)
    told: list[list[str]] = []
    keeper.when_queues_change(lambda queues: told.append([queue.url for queue in queues]))
    keeper.current()
    issuer.urls = ["https://queues.example/b"]
    issuer.time = 3000.0
    keeper.current()
    assert told == [["https://queues.example/b"]]


def test_keys_that_the_queue_refuses_are_replaced(control_plane: FakeControlPlane, agent: AgentInThread) -> None:
    expired = Answer(status=403, body=json.dumps({"__type": "com.amazonaws.sqs#ExpiredToken"}).encode())
    control_plane.trouble("receive", Trouble(instead=expired))
    unit = control_plane.add_unit()
    agent.start()
    eventually(lambda: unit.completed)
    assert control_plane.calls["credentials"] == 2


def test_an_agent_follows_its_queues(control_plane: FakeControlPlane, agent: AgentInThread) -> None:
    agent.gpus = [Gpu(name="a card", vram_mb=10_000)]
    expired = Answer(status=403, body=json.dumps({"__type": "com.amazonaws.sqs#ExpiredToken"}).encode())
    agent.start()
    eventually(lambda: control_plane.calls["receive"])
    control_plane.capabilities = [CapabilityClass.GPU_8G]
    control_plane.trouble("receive", Trouble(instead=expired))
    unit = control_plane.add_unit(ring="public-gpu-8g")
    eventually(lambda: unit.completed)


# The heart's rhythm


def test_beats_come_sooner_after_a_failure_and_no_more_often_than_ordered(control_plane: FakeControlPlane) -> None:
    """Three failures, then success: the beats after it keep to the interval that was ordered."""
    control_plane.troubles["heartbeat"] = [Trouble(before=True)] * 3
    finished = threading.Event()
    heart = Heartbeat(
        ControlPlane(api=control_plane.url, device_key=DEVICE_KEY, pool=new_pool()),
        in_hand=UnitsInHand(),
        shipper=NoShipper(),
        health=PollHealth(),
        draining=threading.Event(),
        lease_seconds=lambda: 60,
        grace_seconds=0,
    )
    thread = threading.Thread(target=heart.run, args=(finished,), daemon=True)
    thread.start()
    eventually(lambda: control_plane.heartbeats, within=20)
    threading.Event().wait(2.5)
    finished.set()
    thread.join(5)
    assert 3 <= len(control_plane.heartbeats) <= 5


class NoShipper:
    def order(self, *_arguments: object) -> None:
        raise AssertionError("no unit, no log")
