"""Transfers that outlive their URLs, and servers that hardly move: a unit goes on, or ends for a reason."""

import hashlib
import threading
import time
from pathlib import Path

import pytest

from gpupool.wire import units as wire
from gpupool.wire.errors import NodeErrorCode
from gpupool.wire.failures import FailureCode
from gpupool.wire.vocabulary import ArtifactKind, UnitRole
from node_agent.cache import Cache
from node_agent.errors import AbandonedError, UnitFailedError
from node_agent.in_hand import UnitInHand
from node_agent.input_urls import FRESH_SECONDS, InputUrls
from node_agent.pace import Pace, PaceBounds, StalledError, TooSlowError
from node_agent.sandbox.memory import Script
from node_agent.uploads import SMALL_BYTES, Output, Uploads, batches
from node_agent.web import new_pool
from tests.agent.fake_control_plane import FakeControlPlane, FakeUnit, unit_id
from tests.agent.fake_http import UNAVAILABLE, Answer, Trouble, refused
from tests.agent.harness import AgentInThread, AsGranted, eventually


class Clock:
    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


def a_unit(control_plane: FakeControlPlane, folder: Path) -> UnitInHand:
    row = FakeUnit(unit_id=unit_id(1), role=UnitRole.TRAIN, fields={}, status="running", attempt=1, lease_token="t")
    control_plane.units[row.unit_id] = row
    return UnitInHand(control_plane.grant(row), folder=folder, lease_ends=0.0)


class Door:
    """Both node door calls that hand out URLs, answered by the fake, counted and never in trouble."""

    def __init__(self, control_plane: FakeControlPlane) -> None:
        self.asked: list[list[str]] = []
        self._plane = control_plane

    def inputs(self, unit_id: str, request: wire.InputsRequest) -> wire.InputsResponse:
        self.asked.append([])
        grant = self._plane.grant(self._plane.units[unit_id])
        return wire.InputsResponse(package=grant.package, dataset=grant.dataset, needs=grant.needs)

    def outputs(self, unit_id: str, request: wire.OutputsRequest) -> wire.OutputsResponse:
        self.asked.append([file.name for file in request.files])
        answer = self._plane._outputs(self._plane.units[unit_id], request.model_dump())
        return wire.OutputsResponse.model_validate_json(answer.body)


# Inputs


def with_a_need(control_plane: FakeControlPlane) -> FakeUnit:
    model = wire.NeedOutput(name="model.tar.gz", kind=ArtifactKind.MODEL, download=control_plane.store(b"weights"))
    need = wire.NeedInput(unit_name="train", role=UnitRole.TRAIN, outputs=[model])
    return control_plane.add_unit(role=UnitRole.EVALUATE, needs=[need])


def test_every_input_whose_url_expired_meanwhile_gets_a_fresh_one(
    control_plane: FakeControlPlane, agent: AgentInThread
) -> None:
    control_plane.url_uses = 1
    unit = with_a_need(control_plane)
    agent.start()
    eventually(lambda: unit.completed)
    started = agent.sandbox.started[0]
    assert started.spec.needs[0].files[0].path.read_bytes() == b"weights"
    assert control_plane.calls["inputs"] == 2, "the need and the dataset; the package's URL was new"


def test_what_units_made_is_fetched_before_the_dataset(control_plane: FakeControlPlane, agent: AgentInThread) -> None:
    paths: list[str] = []
    answer = control_plane.answer

    def noting(method: str, path: str, headers: dict[str, str], body: bytes) -> Answer | None:
        paths.extend([path.partition("?")[0].rpartition("/")[2]] if method == "GET" and "/blobs/" in path else [])
        return answer(method, path, headers, body)

    control_plane._server.answer = noting  # type: ignore[attr-defined]
    unit = with_a_need(control_plane)
    agent.start()
    eventually(lambda: unit.completed)
    assert paths == [hashlib.sha256(content).hexdigest() for content in (b"a package", b"weights", b"1,2,3\n")]


def test_a_download_cut_off_after_its_url_expired_goes_on_where_it_stopped(
    control_plane: FakeControlPlane, agent: AgentInThread
) -> None:
    content = bytes(range(256)) * 4000
    control_plane.url_uses = 1
    ranges: list[str] = []
    answer = control_plane.answer

    def noting(method: str, path: str, headers: dict[str, str], body: bytes) -> Answer | None:
        ranges.extend([headers.get("range", "")] if "/blobs/" in path else [])
        return answer(method, path, headers, body)

    control_plane._server.answer = noting  # type: ignore[attr-defined]
    unit = control_plane.add_unit(role=UnitRole.PACKAGE, entry=None, package=control_plane.store(content))
    cut = Answer(body=content, media_type="application/octet-stream", cut_after=700_000)
    control_plane.trouble("get", Trouble(instead=cut))
    agent.start()
    eventually(lambda: unit.completed)
    assert agent.sandbox.started[0].files.package.read_bytes() == content
    assert ranges == ["", "bytes=700000-", "bytes=700000-"]
    assert control_plane.calls["inputs"] == 1


def test_an_input_whose_fresh_url_is_refused_too_is_unavailable(control_plane: FakeControlPlane, agent: AgentInThread) -> None:
    control_plane.url_uses = 0
    unit = control_plane.add_unit()
    agent.start()
    report = eventually(lambda: unit.failures)[0]
    assert (report["code"], "403" in report["message"]) == ("INPUT_UNAVAILABLE", True)
    assert (control_plane.calls["get"], control_plane.calls["inputs"]) == (2, 1)


def test_asking_for_urls_is_repeated_while_the_control_plane_is_away(
    control_plane: FakeControlPlane, agent: AgentInThread
) -> None:
    control_plane.url_uses = 1
    control_plane.trouble("inputs", UNAVAILABLE, UNAVAILABLE)
    unit = control_plane.add_unit()
    agent.start()
    eventually(lambda: unit.completed)
    assert control_plane.calls["inputs"] == 3


@pytest.mark.parametrize("step", ["inputs", "outputs"])
@pytest.mark.parametrize("code", [NodeErrorCode.LEASE_LOST, NodeErrorCode.UNIT_GONE])
def test_a_lease_lost_while_asking_for_urls_ends_the_work_without_a_report(
    step: str, code: NodeErrorCode, control_plane: FakeControlPlane, agent: AgentInThread
) -> None:
    control_plane.url_uses = 1
    control_plane.trouble(step, refused(409, code))
    unit = control_plane.add_unit()
    agent.start()
    eventually(lambda: control_plane.calls[step] and not list(agent.work_root.iterdir()))
    assert (unit.completed, unit.failures) == (None, [])
    assert (control_plane.calls["complete"], control_plane.calls["fail"]) == (0, 0)


def test_old_urls_are_replaced_before_they_are_used(control_plane: FakeControlPlane, tmp_path: Path) -> None:
    unit, door, clock = a_unit(control_plane, tmp_path), Door(control_plane), Clock()
    urls = InputUrls(unit, door, clock=clock)
    clock.now += FRESH_SECONDS
    assert urls.url_for(unit.grant.package) == unit.grant.package.url
    clock.now += 1
    urls.url_for(unit.grant.package)
    urls.url_for(unit.grant.dataset.download)
    assert len(door.asked) == 1, "one answer renews every input"


# A server that hardly moves


_BOUNDS = PaceBounds(
    silence_seconds=5, window_seconds=60, window_bytes=1000, patience_seconds=600, slowest_bytes_per_second=100
)


def test_a_connection_that_brings_too_little_in_a_window_has_stalled() -> None:
    clock = Clock()
    pace = Pace(_BOUNDS, size_bytes=1_000_000, clock=clock)
    pace.connect()
    for _ in range(59):
        clock.now += 1
        pace.receive(16)
    clock.now += 1
    with pytest.raises(StalledError):
        pace.receive(16)
    pace.connect()
    for _ in range(120):
        clock.now += 1
        pace.receive(17)


def test_an_object_may_take_no_longer_than_its_size_allows() -> None:
    clock = Clock()
    pace = Pace(_BOUNDS, size_bytes=10_000, clock=clock)
    for _ in range(7):
        pace.connect()
        clock.now += 100
    clock.now += 1
    with pytest.raises(TooSlowError):
        pace.receive(10_000)
    with pytest.raises(TooSlowError):
        pace.connect()


def _slow_cache(folder: Path, **bounds: float) -> Cache:
    given = {"silence_seconds": 0.5, "window_seconds": 0.2, "patience_seconds": 2.0, **bounds}
    cache = Cache(folder, limit_bytes=1 << 30, pool=new_pool(), pace=PaceBounds(**given))  # type: ignore[arg-type]
    cache.recover()
    return cache


def _trickle(content: bytes) -> Trouble:
    return Trouble(instead=Answer(body=content, media_type="application/octet-stream", pause=0.02))


def test_a_trickling_server_is_left_and_the_next_connection_goes_on(control_plane: FakeControlPlane, tmp_path: Path) -> None:
    content = b"x" * 5000
    download = control_plane.store(content)
    control_plane.trouble("get", _trickle(content))
    cache = _slow_cache(tmp_path / "cache", patience_seconds=60.0)
    assert cache.fetch(download, urls=AsGranted(), stop=threading.Event()).read_bytes() == content
    assert control_plane.calls["get"] == 2


@pytest.mark.parametrize("window_seconds", [0.2, 60.0], ids=["by windows", "over all"])
def test_a_server_that_only_trickles_makes_the_input_unavailable(
    window_seconds: float, control_plane: FakeControlPlane, tmp_path: Path
) -> None:
    content = b"x" * 5000
    download = control_plane.store(content)
    control_plane.trouble("get", *[_trickle(content)] * 20)
    cache = _slow_cache(tmp_path / "cache", window_seconds=window_seconds)
    with pytest.raises(UnitFailedError) as failed:
        cache.fetch(download, urls=AsGranted(), stop=threading.Event())
    assert failed.value.code is FailureCode.INPUT_UNAVAILABLE
    assert not list((tmp_path / "cache" / "incoming").iterdir())


def test_an_order_to_end_reaches_a_trickling_download(control_plane: FakeControlPlane, tmp_path: Path) -> None:
    content = b"x" * 5000
    download = control_plane.store(content)
    control_plane.trouble("get", _trickle(content))
    cache, stop = _slow_cache(tmp_path / "cache", window_seconds=60.0, patience_seconds=60.0), threading.Event()
    threading.Timer(0.3, stop.set).start()
    started = time.monotonic()
    with pytest.raises(AbandonedError):
        cache.fetch(download, urls=AsGranted(), stop=stop)
    assert time.monotonic() - started < 10


# Outputs


def _output(folder: Path, name: str, size: int) -> Output:
    path = folder / name
    path.write_bytes(b"x" * size)
    sha256 = hashlib.sha256(path.read_bytes()).hexdigest()
    return Output(declared=wire.OutputFile(name=name, kind=ArtifactKind.METRICS, size_bytes=size, sha256=sha256), path=path)


def test_small_files_share_a_request_and_large_ones_ask_for_themselves(tmp_path: Path) -> None:
    sizes = {"big": SMALL_BYTES + 1, "a": 10, "huge": 2 * SMALL_BYTES, "b": SMALL_BYTES - 10, "c": SMALL_BYTES}
    outputs = [_output(tmp_path, name, size) for name, size in sizes.items()]
    found = [[output.declared.name for output in batch] for batch in batches(outputs)]
    assert found == [["a", "b"], ["c"], ["big"], ["huge"]]
    assert batches([]) == []


def test_a_url_is_asked_for_when_the_files_turn_comes(control_plane: FakeControlPlane, tmp_path: Path) -> None:
    unit, door = a_unit(control_plane, tmp_path), Door(control_plane)
    control_plane.url_uses = 1
    outputs = [_output(tmp_path, name, SMALL_BYTES + 1) for name in ("one", "two", "three")]
    uploads = Uploads(unit, door, pool=new_pool(), attempts=1)
    uploads.send(outputs)
    assert door.asked == [["one"], ["two"], ["three"]]
    assert control_plane.calls["put"] == 3
    uploads.send(outputs)
    assert control_plane.calls["put"] == 3, "what is stored is not sent again"
    uploads.forget()
    uploads.send(outputs[:1])
    assert door.asked[3:] == [["one"]]


def test_an_expired_url_costs_one_request_for_that_file(control_plane: FakeControlPlane, tmp_path: Path) -> None:
    unit, door = a_unit(control_plane, tmp_path), Door(control_plane)
    control_plane.url_uses = 1
    uploads = Uploads(unit, door, pool=new_pool(), attempts=1)
    uploads.send([_output(tmp_path, name, 10) for name in ("a", "b", "c")])
    assert door.asked == [["a", "b", "c"], ["b"], ["c"]]
    assert control_plane.calls["put"] == 5


def test_a_repeated_attempt_asks_again_when_its_url_has_grown_old(control_plane: FakeControlPlane, tmp_path: Path) -> None:
    unit, door, clock = a_unit(control_plane, tmp_path), Door(control_plane), Clock()
    answer = control_plane.answer

    def takes_long(method: str, path: str, headers: dict[str, str], body: bytes) -> Answer | None:
        clock.now += 700
        return answer(method, path, headers, body)

    control_plane._server.answer = takes_long  # type: ignore[attr-defined]
    control_plane.trouble("put", UNAVAILABLE)
    uploads = Uploads(unit, door, pool=new_pool(), attempts=2, clock=clock)
    uploads.send([_output(tmp_path, "model", 10)])
    assert door.asked == [["model"], ["model"]]


def test_an_abandoned_unit_stops_in_the_middle_of_an_upload(control_plane: FakeControlPlane, tmp_path: Path) -> None:
    unit, door = a_unit(control_plane, tmp_path), Door(control_plane)
    outputs = door.outputs

    def then_abandon(unit_id: str, request: wire.OutputsRequest) -> wire.OutputsResponse:
        unit.abandoned.set()
        return outputs(unit_id, request)

    door.outputs = then_abandon  # type: ignore[method-assign]
    with pytest.raises(AbandonedError):
        Uploads(unit, door, pool=new_pool(), attempts=1).send([_output(tmp_path, "model", 10)])
    assert not control_plane.blobs.get(f"/uploads/{unit_id(1)}/1/model")


def test_a_unit_with_large_outputs_completes_though_each_url_serves_once(
    control_plane: FakeControlPlane, agent: AgentInThread
) -> None:
    control_plane.url_uses = 1
    limits = wire.Limits(
        wall_seconds=600, memory_mb=1000, disk_mb=1000, processes=50, log_bytes=100_000, output_bytes=10_000_000
    )
    unit = control_plane.add_unit(limits=limits)
    large = tuple((f"{name}.tar.gz", ArtifactKind.MODEL, b"x" * (SMALL_BYTES + 1)) for name in ("one", "two", "three"))
    agent.start(Script(artifacts=large))
    eventually(lambda: unit.completed)
    assert control_plane.calls["outputs"] == 4, "the log and each archive"
    assert control_plane.calls["complete"] == 1
