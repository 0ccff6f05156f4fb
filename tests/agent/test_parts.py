"""The agent's small parts: what they decide and what they bound."""

import hashlib
import io
import json
import logging
import math
import threading
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gpupool.wire.units import Download, Limits
from node_agent.agent_log import LogFormat, log_event, set_up_logging
from node_agent.cache import Cache
from node_agent.capabilities import BYTES_PER_MB
from node_agent.errors import AbandonedError, RecoverableError
from node_agent.logs import CHUNK_BYTES, UnitLog
from node_agent.metrics import MOST_NAMES, MetricsReader, fraction_of, numbers_in
from node_agent.retry import Backoff, retrying
from node_agent.web import InsecureUrlError, new_pool, require_safe_url
from node_agent.work import limits_here
from tests.agent.fake_control_plane import FakeControlPlane
from tests.agent.harness import AsGranted

# Back-off


def test_back_off_grows_to_its_cap_and_stays_there() -> None:
    backoff = Backoff(base=1.0, cap=60.0, chance=lambda: 1.0)
    waits = [backoff.next() for _ in range(5000)]
    assert waits[:4] == [1.0, 2.0, 4.0, 8.0]
    assert max(waits) == 60.0
    backoff.reset()
    assert backoff.next() == 1.0


def test_back_off_is_jittered_down_to_nothing_but_honours_what_was_asked() -> None:
    assert Backoff(chance=lambda: 0.0).next() == 0.0
    assert Backoff(chance=lambda: 0.0, cap=30.0).next(at_least=5.0) == 5.0
    assert Backoff(chance=lambda: 0.0, cap=30.0).next(at_least=9999.0) == 30.0


def test_retrying_stops_at_its_attempts_and_at_the_order_to_end() -> None:
    calls: list[int] = []

    def fails() -> None:
        calls.append(1)
        raise RecoverableError("no")

    with pytest.raises(RecoverableError):
        retrying(fails, what="test", giving_up=threading.Event(), attempts=3, backoff=Backoff(base=0.001))
    assert len(calls) == 3
    over = threading.Event()
    over.set()
    with pytest.raises(AbandonedError):
        retrying(fails, what="test", giving_up=over, attempts=None, backoff=Backoff(base=600.0, cap=600.0))


# Metrics


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        (b'{"loss": 0.5, "step": 3}', {"loss": 0.5, "step": 3.0}),
        (b'  {"loss": 1}\r', {"loss": 1.0}),
        (b'{"loss": NaN, "acc": Infinity, "ok": true, "name": "x", "nested": {"a": 1}}', {}),
        (b'{"huge": 1' + b"0" * 400 + b"}", {}),
        (b"[1, 2]", {}),
        (b"loss: 0.5", {}),
        (b'{"loss": ', {}),
        (b'{"' + b"n" * 65 + b'": 1}', {}),
        (b"{" * 10_000 + b"}" * 10_000, {}),
        (b'{"a": ' + b"[" * 5000 + b"]" * 5000 + b"}", {}),
        (b'{"\xff": 1}', {}),
    ],
)
def test_only_finite_numbers_of_one_object_count(line: bytes, expected: dict[str, float]) -> None:
    assert numbers_in(line) == expected


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ({"progress": 0.3}, 0.3),
        ({"progress": 7.0}, 1.0),
        ({"step": 5.0, "total_steps": 20.0}, 0.25),
        ({"epoch": 3.0, "epochs": 4.0}, 0.75),
        ({"epoch": 3.0, "epochs": 0.0}, None),
        ({"loss": 1.0}, None),
    ],
)
def test_progress_is_read_from_the_words_scripts_use(values: dict[str, float], expected: float | None) -> None:
    assert fraction_of(values) == expected


@given(st.lists(st.integers(1, 40)))
def test_metrics_do_not_depend_on_where_output_is_cut(cuts: list[int]) -> None:
    output = b'noise\n{"loss": 2}\n{"loss": 1, "epoch": 1, "epochs": 4}\n{"open": '
    reader = MetricsReader()
    start = 0
    for cut in cuts:
        reader.feed(output[start : start + cut])
        start += cut
    reader.feed(output[start:])
    assert (reader.latest, reader.fraction) == ({"loss": 1.0, "epoch": 1.0, "epochs": 4.0}, 0.25)


@given(st.binary(max_size=2000))
def test_no_output_breaks_the_reader(output: bytes) -> None:
    reader = MetricsReader()
    reader.feed(output)
    reader.feed(b"\n")
    assert all(math.isfinite(value) for value in reader.latest.values())


def test_names_and_lines_are_bounded() -> None:
    reader = MetricsReader()
    for number in range(200):
        reader.feed(json.dumps({f"name{number}": number}).encode() + b"\n")
    assert len(reader.latest) == MOST_NAMES
    reader.feed(b'{"name0": 7}\n')
    assert reader.latest["name0"] == 7.0
    reader.feed(b"{" + b" " * 1_000_000)
    reader.feed(b'"name0": 8}\n{"name1": 9}\n')
    assert (reader.latest["name0"], reader.latest["name1"]) == (7.0, 9.0)


# The log


def test_a_log_is_cut_at_lines_and_repeated_until_acknowledged(tmp_path: Path) -> None:
    log = UnitLog(tmp_path / "log.txt", limit_bytes=10_000_000)
    line = "üben\n".encode()
    log.append(line * 100_000)
    sent = b""
    seen = []
    while (chunk := log.chunk()) is not None:
        log.append(b"")
        assert log.chunk() == chunk, "asked again, the same bytes"
        assert len(chunk.content) <= CHUNK_BYTES
        assert chunk.sha256 == hashlib.sha256(chunk.content).hexdigest()
        sent += chunk.content
        seen.append(chunk.seq)
        log.acknowledge(chunk)
        log.acknowledge(chunk)
    assert sent == line * 100_000
    assert seen == list(range(len(seen)))


def test_a_log_keeps_to_its_limit_and_its_tail_is_text(tmp_path: Path) -> None:
    log = UnitLog(tmp_path / "log.txt", limit_bytes=100)
    log.append(b"a" * 99 + "ü".encode() + b"\x00more")
    assert log.size == 100
    assert log.tail(most_characters=8) == "a" * 7 + "\ufffd"
    log.close()
    log.append(b"late")
    assert (log.chunk(), log.size) == (None, 100)


# The cache


def fetch(cache: Cache, download: Download) -> Path:
    with cache.holding(AsGranted()) as holding:
        return holding.fetch(download, stop=threading.Event())


@pytest.fixture
def cache(tmp_path: Path) -> Cache:
    made = Cache(tmp_path / "cache", limit_bytes=1000, pool=new_pool())
    made.recover()
    return made


def test_the_least_recently_used_leave_first_and_what_is_held_stays(control_plane: FakeControlPlane, cache: Cache) -> None:
    downloads = [control_plane.store(bytes([number]) * 400) for number in range(4)]
    with cache.holding(AsGranted()) as holding:
        held = holding.fetch(downloads[0], stop=threading.Event())
        second = fetch(cache, downloads[1])
        third = fetch(cache, downloads[2])
        assert held.exists()
        assert not second.exists()
        fetch(cache, downloads[3])
        assert held.exists()
        assert not third.exists()
    assert fetch(cache, downloads[0]) == held
    assert control_plane.calls["get"] == 4


def test_what_a_killed_agent_left_is_not_taken_for_an_object(
    control_plane: FakeControlPlane, cache: Cache, tmp_path: Path
) -> None:
    download = control_plane.store(b"the whole object")
    (tmp_path / "cache" / "objects" / download.sha256).write_bytes(b"the who")
    (tmp_path / "cache" / "incoming" / "part").write_bytes(b"half")
    cache.recover()
    assert fetch(cache, download).read_bytes() == b"the whole object"
    assert not list((tmp_path / "cache" / "incoming").iterdir())


def test_an_empty_object_can_be_fetched(control_plane: FakeControlPlane, cache: Cache) -> None:
    assert fetch(cache, control_plane.store(b"")).read_bytes() == b""


def test_two_units_that_need_the_same_object_fetch_it_once(control_plane: FakeControlPlane, cache: Cache) -> None:
    download = control_plane.store(b"x" * 900)
    threads = [threading.Thread(target=fetch, args=(cache, download)) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(10)
    assert control_plane.calls["get"] == 1


# Addresses and log lines


@pytest.mark.parametrize("url", ["https://pool.example", "http://127.0.0.1:4566/x", "http://localhost:1", "http://[::1]:1"])
def test_safe_addresses(url: str) -> None:
    assert require_safe_url(url) == url


@pytest.mark.parametrize(
    "url", ["http://pool.example", "ftp://127.0.0.1", "http://127.0.0.1.evil.example", "file:///etc/passwd", ""]
)
def test_addresses_that_would_send_keys_in_the_open(url: str) -> None:
    with pytest.raises(InsecureUrlError):
        require_safe_url(url)


@pytest.mark.parametrize("form", list(LogFormat))
def test_an_event_is_one_line(form: LogFormat) -> None:
    stream = io.StringIO()
    root = logging.getLogger()
    before, level = root.handlers, root.level
    try:
        set_up_logging(form=form, level="info", stream=stream)
        log_event(logging.getLogger("node_agent.test"), "unit.claimed", unit="u", error="two\nlines", nothing=None)
    finally:
        root.handlers = before
        root.setLevel(level)
    line = stream.getvalue()
    assert line.count("\n") == 1
    if form is LogFormat.JSON:
        assert json.loads(line)["event"] == "unit.claimed"
    else:
        assert "unit.claimed unit=u error=two\\nlines" in line


def test_a_unit_never_gets_more_memory_than_the_host_can_spare() -> None:
    granted = Limits(wall_seconds=60, memory_mb=8_192, disk_mb=512, processes=256, log_bytes=1_000_000, output_bytes=1_000_000)

    assert limits_here(granted, host_memory=64_000 * BYTES_PER_MB).memory_mb == 8_192
    assert limits_here(granted, host_memory=4_000 * BYTES_PER_MB).memory_mb == 3_400
