"""A package is refused for what it could do to the machine that unpacks it, and for what cannot be run."""

import io
import stat
import struct
import zipfile
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gpupool.errors import ValidationFailed
from gpupool.planning.model import Strategy
from gpupool.uploads.packages import MAX_ENTRIES, MAX_UNPACKED_BYTES, check_entries, read_package, safe_path
from tests.support.packages import TRAIN, a_package, an_entry

MANIFEST = b'[package]\nentry = "train.py"\n[parameters]\nepochs = 3\nrate = 0.5\n'


def refusal(archive: bytes) -> ValidationFailed:
    with pytest.raises(ValidationFailed) as caught:
        read_package(io.BytesIO(archive))
    return caught.value


def with_mode(name: str, mode: int) -> zipfile.ZipInfo:
    return an_entry(name, lambda info: setattr(info, "external_attr", mode << 16))


def test_a_package_without_manifest_runs_train_py() -> None:
    manifest = read_package(io.BytesIO(a_package(("train.py", TRAIN), ("requirements.txt", b"numpy\n"))))
    assert (manifest.strategy, manifest.entry, manifest.requirements) == (Strategy.SINGLE, "train.py", "requirements.txt")


def test_the_manifest_is_read_from_the_archive() -> None:
    manifest = read_package(io.BytesIO(a_package(("gpu-agent.toml", MANIFEST), ("train.py", TRAIN))))
    assert manifest.parameters == {"epochs": 3, "rate": 0.5}


def test_paths_that_start_with_a_dot_slash_are_their_normal_form() -> None:
    assert read_package(io.BytesIO(a_package(("./train.py", TRAIN)))).entry == "train.py"


@pytest.mark.parametrize(
    "name",
    [
        "../train.py",
        "a/../../train.py",
        "..",
        "a/..",
        "/etc/cron.d/x",
        "//host/share",
        "C:/windows/x.py",
        "c:evil.py",
        "a\\..\\..\\x.py",
        "\\\\host\\share",
        "bell\x07.py",
        "line\nbreak.py",
        "x" * 513,
    ],
)
def test_a_path_that_could_leave_the_folder_is_unsafe(name: str) -> None:
    error = refusal(a_package(("train.py", TRAIN), (name, b"x")))
    assert error.code == "PACKAGE_UNSAFE"
    assert error.details["field"] == "/sha256"
    assert error.details["entry"].isprintable()


def test_a_name_cut_short_by_a_nul_is_judged_by_what_follows_too() -> None:
    archive = a_package(("train.py", TRAIN), ("good.txtX/../../evil", b"x")).replace(b"good.txtX", b"good.txt\0")
    assert refusal(archive).code == "PACKAGE_UNSAFE"


@given(st.text(alphabet=st.sampled_from("a./\\:\0 b"), max_size=12))
def test_a_path_that_passes_stays_below_the_folder(name: str) -> None:
    try:
        path = safe_path(name)
    except ValidationFailed:
        return
    assert not path.startswith("/")
    assert ".." not in path.split("/")
    assert "\\" not in path
    assert "\0" not in path


@pytest.mark.parametrize("kind", [stat.S_IFLNK, stat.S_IFCHR, stat.S_IFBLK, stat.S_IFIFO, stat.S_IFSOCK])
def test_only_files_and_folders_are_taken(kind: int) -> None:
    error = refusal(a_package(("train.py", TRAIN), (with_mode("data", kind | 0o777), b"/etc/passwd")))
    assert (error.code, error.details["entry"]) == ("PACKAGE_UNSAFE", "data")


def test_plain_files_and_folders_of_any_writer_are_taken() -> None:
    archive = a_package(
        (with_mode("train.py", stat.S_IFREG | 0o755), TRAIN), (with_mode("lib/", stat.S_IFDIR | 0o755), b""), ("lib/a.py", b"")
    )
    assert read_package(io.BytesIO(archive)).entry == "train.py"


@pytest.mark.parametrize("second", ["train.py", "./train.py", "lib/./../train.py"])
def test_two_entries_with_one_path_are_refused(second: str) -> None:
    assert refusal(a_package(("train.py", TRAIN), (second, b"import evil"))).code in {"PACKAGE_INVALID", "PACKAGE_UNSAFE"}


@pytest.mark.parametrize("entries", [("a", "a/b.py"), ("a/b.py", "a"), ("a/", "a"), ("a", "a/b/c.py")])
def test_nothing_is_a_file_and_a_folder_at_once(entries: tuple[str, ...]) -> None:
    assert refusal(a_package(*((name, b"") for name in entries))).code == "PACKAGE_INVALID"


def test_an_encrypted_entry_is_refused() -> None:
    archive = bytearray(a_package())
    directory = archive.rindex(b"PK\x01\x02")
    archive[directory + 8] |= 0x1
    assert refusal(bytes(archive)).code == "PACKAGE_INVALID"


def test_a_compression_that_agents_need_not_know_is_refused() -> None:
    assert refusal(a_package(method=zipfile.ZIP_LZMA)).code == "PACKAGE_INVALID"


def test_too_many_entries_are_refused() -> None:
    archive = a_package(*((f"{number}.txt", b"") for number in range(MAX_ENTRIES + 1)))
    assert refusal(archive).code == "PACKAGE_UNSAFE"


def test_an_entry_that_swells_is_refused() -> None:
    error = refusal(a_package(("train.py", TRAIN), ("zeros.bin", bytes(5_000_000))))
    assert (error.code, error.details["entry"]) == ("PACKAGE_UNSAFE", "zeros.bin")


def test_what_compresses_well_but_is_small_is_fine() -> None:
    assert read_package(io.BytesIO(a_package(("train.py", TRAIN), ("zeros.bin", bytes(500_000))))).entry == "train.py"


def entries_of(*sizes: tuple[int, int, int]) -> list[zipfile.ZipInfo]:
    """Entries as (offset, packed, unpacked)."""
    made = []
    for number, (offset, packed, unpacked) in enumerate(sizes):
        info = zipfile.ZipInfo(f"{number}.bin")
        info.header_offset, info.compress_size, info.file_size = offset, packed, unpacked
        made.append(info)
    return made


def test_the_sum_of_sizes_is_bounded() -> None:
    each = MAX_UNPACKED_BYTES // 2 + 1
    with pytest.raises(ValidationFailed) as caught:
        check_entries(entries_of((0, each, each), (each + 100, each, each)), directory_start=3 * each)
    assert caught.value.code == "PACKAGE_UNSAFE"


@pytest.mark.parametrize(
    ("entries", "directory_start"),
    [
        (entries_of((0, 1000, 1000), (500, 1000, 1000)), 5000),  # share bytes
        (entries_of((0, 1000, 1000), (0, 1000, 1000)), 5000),  # the very same bytes
        (entries_of((0, 1000, 1000)), 1000),  # runs into the directory
        (entries_of((-5, 10, 10)), 1000),
    ],
)
def test_entries_that_overlap_are_refused(entries: list[zipfile.ZipInfo], directory_start: int) -> None:
    with pytest.raises(ValidationFailed) as caught:
        check_entries(entries, directory_start=directory_start)
    assert caught.value.code == "PACKAGE_UNSAFE"


@pytest.mark.parametrize(
    "junk",
    [
        b"",
        b"PK",
        b"this is no zip file at all" * 10,
        a_package()[:-10],
        # An end record that promises a directory of 4 GB.
        struct.pack("<4s4H2LH", b"PK\x05\x06", 0, 0, 1, 1, 0xFFFFFFF0, 0, 0),
    ],
    ids=["empty", "short", "text", "cut off", "huge directory"],
)
def test_what_is_no_zip_is_refused(junk: bytes) -> None:
    assert refusal(junk).code == "PACKAGE_INVALID"


@given(st.data())
def test_a_damaged_package_is_refused_or_read_but_never_crashes(data: Any) -> None:
    archive = bytearray(a_package(("gpu-agent.toml", MANIFEST), ("train.py", TRAIN)))
    for _ in range(data.draw(st.integers(1, 4))):
        archive[data.draw(st.integers(0, len(archive) - 1))] = data.draw(st.integers(0, 255))
    try:
        read_package(io.BytesIO(bytes(archive)))
    except ValidationFailed as error:
        assert error.code in {"PACKAGE_INVALID", "PACKAGE_UNSAFE", "PACKAGE_NO_ENTRY", "MANIFEST_INVALID"}  # noqa: PT017


@pytest.mark.parametrize(
    ("entries", "code"),
    [
        ([("readme.md", b"hello")], "PACKAGE_NO_ENTRY"),
        ([("gpu-agent.toml", b"[package"), ("train.py", TRAIN)], "MANIFEST_INVALID"),
        ([("gpu-agent.toml", b"\xff\xfe"), ("train.py", TRAIN)], "MANIFEST_INVALID"),
        ([("gpu-agent.toml", b'[package]\nentry = "absent.py"'), ("train.py", TRAIN)], "MANIFEST_INVALID"),
        ([("gpu-agent.toml", b"#" * 70_000), ("train.py", TRAIN)], "MANIFEST_INVALID"),
    ],
)
def test_what_cannot_be_run_is_refused(entries: list[tuple[str, bytes]], code: str) -> None:
    assert refusal(a_package(*entries)).code == code


def test_a_manifest_that_claims_to_be_small_is_not_read_beyond_its_claim() -> None:
    archive = bytearray(a_package(("gpu-agent.toml", MANIFEST + b"#" * 10_000), ("train.py", TRAIN)))
    struct.pack_into("<L", archive, archive.index(b"PK\x01\x02") + 24, 10)
    assert refusal(bytes(archive)).code == "PACKAGE_INVALID"
