"""What a package may ask for, and environments that are built once, kept and evicted."""

import os
import struct
import threading
import time
import zipfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from node_agent.environments import EnvironmentAbandonedError, EnvironmentFailedError, EnvironmentStore
from node_agent.environments.builder import Build, build_environment, pip_words, sandbox_words
from node_agent.environments.requirements import (
    MAX_DIRECTORY_BYTES,
    MAX_FILE_BYTES,
    MAX_TEXT_LINES,
    fingerprint,
    normalised,
    read_requirements,
)
from node_agent.sandbox import disk
from node_agent.sandbox.environment_lock import in_use, mark_of


def test_requirements_are_normalised() -> None:
    text = "\ufeffNumPy >= 1.26 , < 3 # numbers\n\n# nothing\nscikit_learn[Extra, other]==1.4.*\nnumpy>=1.26,<3\ntorch\n"
    assert normalised(text.lstrip("\ufeff")) == ("numpy>=1.26,<3", "scikit-learn[extra,other]==1.4.*", "torch")


@pytest.mark.parametrize(
    "line",
    [
        "-e .",
        "--index-url https://evil.example/simple",
        "--extra-index-url=x",
        "-r other.txt",
        "-c constraints.txt",
        "--no-binary :all:",
        "--config-settings=x",
        "./local",
        "../up",
        "/abs/path",
        "pkg @ https://evil.example/x.whl",
        "git+https://evil.example/x",
        "https://evil.example/x.whl",
        "file:///etc/passwd",
        "numpy; python_version < '3'",
        "numpy --hash=sha256:00",
        "numpy \\",
        "$HOME",
        "${PIP_INDEX_URL}",
        "a.whl @ x",
        "numpy==1 2",
        "numpy>=",
        "é",
        "-",
        "[x]",
        "numpy\0",
    ],
)
def test_everything_but_names_and_versions_is_refused(line: str) -> None:
    with pytest.raises(EnvironmentFailedError, match="is refused"):
        normalised(f"numpy\n{line}\n")


def test_too_many_lines_are_refused() -> None:
    with pytest.raises(EnvironmentFailedError, match="more than"):
        normalised("\n".join(f"p{number}" for number in range(501)))


def test_comments_count_as_lines_too() -> None:
    assert normalised("# nothing\n" * MAX_TEXT_LINES) == ()
    with pytest.raises(EnvironmentFailedError, match="more than"):
        normalised("\n" * (MAX_TEXT_LINES + 1))


@pytest.mark.parametrize("line", ["a" + " " * 1300 + "b", "a" * 301, "a[" + "b, " * 150 + "b]", "a" + ",>=1" * 100])
def test_a_long_line_is_refused(line: str) -> None:
    with pytest.raises(EnvironmentFailedError, match="longer than 300 characters"):
        normalised(line)


def test_a_long_comment_is_no_long_line() -> None:
    assert normalised("numpy" + " " * 5000 + "# " + "x" * 5000) == ("numpy",)


_HOSTILE = [
    "a" + " " * 297 + "b",
    "a" + "\t " * 148 + "b",
    "a" * 299 + "!",
    "a-" * 149 + "!",
    "a[" + "b," * 148 + "!",
    "a[" + "b ,  " * 59 + "!",
    "a" + ">=1," * 74 + "!",
    "a" + " >= 1 ," * 42 + "!",
    "a ==" + " " * 290 + "@",
    "a[" + " " * 290 + "!",
]


@pytest.mark.parametrize("line", _HOSTILE)
def test_reading_hostile_lines_takes_no_time(line: str) -> None:
    seconds: list[float] = []

    def read() -> None:
        started = time.thread_time()
        for _ in range(500):
            with pytest.raises(EnvironmentFailedError, match="is refused"):
                normalised(line)
        seconds.append(time.thread_time() - started)

    reader = threading.Thread(target=read, daemon=True)
    reader.start()
    reader.join(20)
    assert seconds, "still reading"
    assert seconds[0] < 2.0


def _package(path: Path, content: bytes) -> Path:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("requirements.txt", content)
    return path


def test_the_file_is_read_from_the_zip(tmp_path: Path) -> None:
    assert read_requirements(_package(tmp_path / "p", b"six\n"), "requirements.txt") == ("six",)


@pytest.mark.parametrize("content", [b"#" * (MAX_FILE_BYTES + 1), b"\xff\xfe", b"x @ y"])
def test_a_file_that_cannot_be_read_fails_the_environment(tmp_path: Path, content: bytes) -> None:
    with pytest.raises(EnvironmentFailedError):
        read_requirements(_package(tmp_path / "p", content), "requirements.txt")


def test_a_missing_file_and_a_broken_zip(tmp_path: Path) -> None:
    with pytest.raises(EnvironmentFailedError, match="no file"):
        read_requirements(_package(tmp_path / "p", b""), "other.txt")
    (tmp_path / "broken").write_bytes(b"PK")
    with pytest.raises(EnvironmentFailedError, match="cannot be read"):
        read_requirements(tmp_path / "broken", "requirements.txt")


def test_a_member_that_would_choose_its_own_memory_is_not_opened(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "p", "w", zipfile.ZIP_LZMA) as archive:
        archive.writestr("requirements.txt", "six\n")
    with pytest.raises(EnvironmentFailedError, match="cannot be read"):
        read_requirements(tmp_path / "p", "requirements.txt")


def test_a_package_with_an_endless_list_of_files_is_refused(tmp_path: Path) -> None:
    size = MAX_DIRECTORY_BYTES + 1
    end = struct.pack("<4s4H2LH", b"PK\5\6", 0, 0, 1, 1, size, 0, 0)
    with (tmp_path / "p").open("wb") as file:
        file.truncate(size)
        file.seek(size)
        file.write(end)
    with pytest.raises(EnvironmentFailedError, match="list of files"):
        read_requirements(tmp_path / "p", "requirements.txt")


def test_a_fingerprint_tells_wishes_and_interpreters_apart() -> None:
    prints = {fingerprint(wishes, python=python) for wishes in ((), ("a",), ("a", "b")) for python in ("3.11", "3.12")}
    assert len(prints) == 6


def test_pip_never_gets_to_run_a_strangers_code() -> None:
    words = pip_words(Path("/t"), Path("/r"))
    assert "--only-binary=:all:" in words
    assert words[1:3] == ["-I", "-m"]
    environ = {"PIP_NO_BINARY": "x", "PIP_TARGET": "/x", "PIP_FIND_LINKS": "/w", "AWS_SECRET_ACCESS_KEY": "s", "HOME": "/h"}
    kept = build_environment(environ, Path("/scratch"))
    assert kept == {"PIP_FIND_LINKS": "/w", "HOME": "/h", "TMPDIR": "/scratch"}


def test_a_build_sees_neither_the_agents_state_nor_keys(tmp_path: Path) -> None:
    (tmp_path / ".ssh").mkdir()
    state = tmp_path / "state"
    state.mkdir()
    words = sandbox_words(Build(state / "new", (), (state,), 1), home=tmp_path)
    for hidden in (state, tmp_path / ".ssh"):
        assert words[words.index(str(hidden)) - 1] == "--tmpfs"
    assert words.index(str(state)) < words.index(str(state / "new")), "hidden first, then the one folder to write"


def _store(root: Path, *, max_bytes: int = 1 << 40, max_environment_bytes: int = 1 << 40) -> EnvironmentStore:
    return EnvironmentStore(root, hidden=(), max_bytes=max_bytes, max_environment_bytes=max_environment_bytes)


def test_equal_wishes_share_one_environment(tmp_path: Path) -> None:
    store, stop = _store(tmp_path / "e"), threading.Event()
    first = store.for_package(tmp_path / "unopened", requirements=None, stop=stop)
    assert first == store.obtain((), stop=stop)
    assert (first / "bin" / "python").exists()
    assert [path.name for path in (tmp_path / "e").iterdir() if path.is_dir()] == [first.name]


def test_two_builders_build_once(tmp_path: Path) -> None:
    found: list[tuple[Path, int]] = []

    def obtain() -> None:
        folder = _store(tmp_path / "e").obtain((), stop=threading.Event())
        found.append((folder, (folder / "pyvenv.cfg").stat().st_ino))

    threads = [threading.Thread(target=obtain) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert len(found) == 4
    assert len(set(found)) == 1


def test_a_stop_while_another_builds_gives_up(tmp_path: Path) -> None:
    store, stop = _store(tmp_path / "e"), threading.Event()
    folder = store.obtain((), stop=stop)
    folder.rename(tmp_path / "elsewhere")
    stop.set()
    with in_use(folder), pytest.raises(EnvironmentAbandonedError):
        store.obtain((), stop=stop)


def test_what_a_crash_left_is_built_again(tmp_path: Path) -> None:
    store, stop = _store(tmp_path / "e"), threading.Event()
    folder = store.obtain((), stop=stop)
    folder.rename(folder.with_name(f".building-{folder.name}"))
    assert store.obtain((), stop=stop) == folder
    assert [path.name for path in (tmp_path / "e").iterdir() if path.is_dir()] == [folder.name]


def test_eviction_takes_the_longest_unused_and_spares_those_in_use(tmp_path: Path) -> None:
    for age, name in ((50_000, "old-used"), (40_000, "old"), (30_000, "newer"), (1, "fresh")):
        folder = tmp_path / name
        folder.mkdir()
        (folder / "data").write_bytes(bytes(1 << 20))
        mark_of(folder).touch()
        modified = folder.stat().st_mtime - age
        os.utime(folder, (modified, modified))
    with in_use(tmp_path / "old-used"):
        _store(tmp_path, max_bytes=(3 << 20) + 100_000).evict()
        assert {path.name for path in tmp_path.iterdir() if path.is_dir()} == {"old-used", "newer", "fresh"}
        _store(tmp_path, max_bytes=1).evict()
        assert {path.name for path in tmp_path.iterdir() if path.is_dir()} == {"old-used", "fresh"}


def test_eviction_is_not_troubled_by_a_neighbour_that_finishes_meanwhile(tmp_path: Path) -> None:
    building, finished = tmp_path / ".building-b", tmp_path / "b"
    building.mkdir()
    over = threading.Event()

    def finish_again_and_again() -> None:
        while not over.is_set():
            building.rename(finished)
            finished.rename(building)

    neighbour = threading.Thread(target=finish_again_and_again)
    neighbour.start()
    try:
        for _ in range(1000):
            _store(tmp_path, max_bytes=1).evict()
    finally:
        over.set()
        neighbour.join()
    assert building.is_dir()


def test_two_evictions_at_once_make_room_and_spare_the_newest(tmp_path: Path) -> None:
    for age in range(200):
        folder = tmp_path / f"{age}"
        folder.mkdir()
        (folder / "data").write_bytes(bytes(1 << 16))
        modified = folder.stat().st_mtime - 10_000 - age
        os.utime(folder, (modified, modified))
    each = disk.bytes_below(tmp_path / "0")
    with ThreadPoolExecutor() as pool:
        for done in [pool.submit(_store(tmp_path, max_bytes=100 * each).evict) for _ in range(4)]:
            done.result()
    left = {path.name for path in tmp_path.iterdir() if path.is_dir()}
    assert "0" in left
    assert len(left) <= 100
