"""Hostile archives: nothing outside the folder, nothing beyond the bounds, one kind of error."""

import contextlib
import gzip
import io
import stat
import struct
import tarfile
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from node_agent.inside import unpack
from node_agent.inside.unpack import UnsafeArchiveError, place_file, unpack_tar, unpack_zip

_MIB = 1 << 20


def _zip(*members: tuple[str | zipfile.ZipInfo, bytes], compression: int = zipfile.ZIP_DEFLATED) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", compression) as archive:
        for name, content in members:
            archive.writestr(name, content)
    return buffer.getvalue()


def _tar(*members: tuple[tarfile.TarInfo, bytes]) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as archive:
        for member, content in members:
            member.size = len(content)
            archive.addfile(member, io.BytesIO(content))
    return buffer.getvalue()


def _unix(name: str, mode: int) -> zipfile.ZipInfo:
    info = zipfile.ZipInfo(name)
    info.create_system = 3
    info.external_attr = mode << 16
    return info


def _special(name: str, kind: bytes, target: str = "") -> tarfile.TarInfo:
    info = tarfile.TarInfo(name)
    info.type = kind
    info.linkname = target
    return info


@pytest.fixture
def unpacked(tmp_path: Path) -> Callable[..., dict[str, bytes]]:
    """Unpacks bytes and gives the files by name; everything beside the target folder must stay as it was."""

    def unpack_bytes(content: bytes, *, max_bytes: int = _MIB) -> dict[str, bytes]:
        archive, target = tmp_path / "archive", tmp_path / "target"
        archive.write_bytes(content)
        target.mkdir()
        try:
            (unpack_zip if content[:2] == b"PK" else unpack_tar)(archive, target, max_bytes=max_bytes)
        finally:
            assert {path.name for path in tmp_path.iterdir()} == {"archive", "target"}
        return {str(path.relative_to(target)): path.read_bytes() for path in target.rglob("*") if path.is_file()}

    return unpack_bytes


def test_honest_archives(unpacked: Callable[..., dict[str, bytes]]) -> None:
    content = _zip(("a.py", b"1"), ("lib/b.py", b"2"), ("lib/", b""), ("./c/d", b"3"))
    assert unpacked(content) == {"a.py": b"1", "lib/b.py": b"2", "c/d": b"3"}


@pytest.mark.parametrize("wrap", [lambda raw: raw, gzip.compress])
def test_honest_tars(unpacked: Callable[..., dict[str, bytes]], wrap: Callable[[bytes], bytes]) -> None:
    content = wrap(
        _tar((tarfile.TarInfo("./a"), b"1"), (_special("dir", tarfile.DIRTYPE), b""), (tarfile.TarInfo("x" * 150), b"2"))
    )
    assert unpacked(content) == {"a": b"1", "x" * 150: b"2"}


def test_execute_bits_are_kept_and_others_are_not(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(_zip((_unix("run.sh", 0o104755), b""), (_unix("data", 0o100666), b"")))
    (tmp_path / "t").mkdir()
    unpack_zip(tmp_path / "a", tmp_path / "t", max_bytes=_MIB)
    assert {path.name: path.stat().st_mode & 0o7777 for path in (tmp_path / "t").iterdir()} == {"run.sh": 0o755, "data": 0o644}


@pytest.mark.parametrize(
    "name",
    [
        "../x",
        "a/../../x",
        "/etc/x",
        "//x",
        "C:x",
        "C:/x",
        "..\\x",
        "a\\b",
        "a/..",
        "..",
        "/".join("d" * 40),
        "/".join(["d" * 200] * 6),
        "n" * 300,
        "ü" * 200,
    ],
)
def test_names_that_lead_elsewhere(unpacked: Callable[..., dict[str, bytes]], name: str) -> None:
    with pytest.raises(UnsafeArchiveError):
        unpacked(_zip((name, b"x")))


@pytest.mark.parametrize("name", ["../x", "/etc/x", "a/../../x", "a\\b"])
def test_names_in_tars_that_lead_elsewhere(unpacked: Callable[..., dict[str, bytes]], name: str) -> None:
    with pytest.raises(UnsafeArchiveError):
        unpacked(_tar((tarfile.TarInfo(name), b"x")))


@pytest.mark.parametrize("kind", [stat.S_IFLNK, stat.S_IFIFO, stat.S_IFBLK, stat.S_IFCHR, stat.S_IFSOCK])
def test_special_files_in_zips(unpacked: Callable[..., dict[str, bytes]], kind: int) -> None:
    with pytest.raises(UnsafeArchiveError, match="special file"):
        unpacked(_zip((_unix("x", kind | 0o777), b"/etc/passwd")))


@pytest.mark.parametrize(
    "kind", [tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.CHRTYPE, tarfile.BLKTYPE, tarfile.FIFOTYPE, tarfile.CONTTYPE]
)
def test_special_files_in_tars(unpacked: Callable[..., dict[str, bytes]], kind: bytes) -> None:
    with pytest.raises(UnsafeArchiveError, match="special file"):
        unpacked(_tar((_special("x", kind, "/etc/passwd"), b"")))


def test_a_link_followed_by_a_file_below_it(unpacked: Callable[..., dict[str, bytes]]) -> None:
    with pytest.raises(UnsafeArchiveError):
        unpacked(_tar((_special("d", tarfile.SYMTYPE, "/tmp"), b""), (tarfile.TarInfo("d/x"), b"x")))


@pytest.mark.filterwarnings("ignore:Duplicate name")
@pytest.mark.parametrize("names", [("a", "a"), ("a", "./a"), ("a", "a/b"), ("a/b", "a"), ("a/", "a"), ("a//b", "a/b")])
def test_two_members_for_one_place(unpacked: Callable[..., dict[str, bytes]], names: tuple[str, str]) -> None:
    with pytest.raises(UnsafeArchiveError):
        unpacked(_zip(*((name, b"") for name in names)))


def test_a_zip_bomb(unpacked: Callable[..., dict[str, bytes]]) -> None:
    with pytest.raises(UnsafeArchiveError, match="more bytes than allowed"):
        unpacked(_zip(("bomb", bytes(8 * _MIB))))


def test_a_zip_that_lies_about_its_size(unpacked: Callable[..., dict[str, bytes]]) -> None:
    honest = _zip(("bomb", bytes(8 * _MIB)))
    lying = honest.replace(struct.pack("<L", 8 * _MIB), struct.pack("<L", 10))
    with pytest.raises(UnsafeArchiveError):
        unpacked(lying)


def test_a_tar_bomb(unpacked: Callable[..., dict[str, bytes]]) -> None:
    with pytest.raises(UnsafeArchiveError, match="more bytes than allowed"):
        unpacked(gzip.compress(_tar((tarfile.TarInfo("bomb"), bytes(8 * _MIB)))))


def test_a_bomb_of_headers(unpacked: Callable[..., dict[str, bytes]], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(unpack, "MAX_FILES", 10)
    member = tarfile.TarInfo("a")
    member.pax_headers = {"comment": "x" * (4 * _MIB)}
    with pytest.raises(UnsafeArchiveError, match="more bytes than allowed"):
        unpacked(gzip.compress(_tar((member, b""))))


@pytest.mark.parametrize("form", ["f{}", "d{}/", "d/{}/f"])
def test_too_many_members(unpacked: Callable[..., dict[str, bytes]], monkeypatch: pytest.MonkeyPatch, form: str) -> None:
    monkeypatch.setattr(unpack, "MAX_FILES", 10)
    with pytest.raises(UnsafeArchiveError, match=r"more than 10 files|too many folders"):
        unpacked(_zip(*((form.format(number), b"") for number in range(50))))


def test_an_encrypted_member(unpacked: Callable[..., dict[str, bytes]]) -> None:
    content = bytearray(_zip(("a", b"x")))
    content[6] |= 1
    content[content.index(b"PK\x01\x02") + 8] |= 1
    with pytest.raises(UnsafeArchiveError, match="encrypted"):
        unpacked(bytes(content))


def test_a_member_that_begins_before_the_file(unpacked: Callable[..., dict[str, bytes]]) -> None:
    content = bytearray(_zip(("a", b"x")))
    end = content.index(b"PK\x05\x06")
    (start,) = struct.unpack_from("<L", content, end + 16)
    struct.pack_into("<L", content, end + 16, start + 1)
    with pytest.raises(UnsafeArchiveError, match="damaged"):
        unpacked(bytes(content))


@given(st.data())
def test_damage_is_one_kind_of_error(tmp_path_factory: pytest.TempPathFactory, data: st.DataObject) -> None:
    honest = data.draw(
        st.sampled_from(
            [
                *(_zip(("a.py", b"print(1)" * 50), compression=kind) for kind in (0, 8, 12, 14)),
                gzip.compress(_tar((tarfile.TarInfo("a"), b"x" * 700))),
            ]
        )
    )
    damaged = bytearray(honest)
    for _ in range(data.draw(st.integers(1, 8))):
        damaged[data.draw(st.integers(0, len(damaged) - 1))] = data.draw(st.integers(0, 255))
    folder = tmp_path_factory.mktemp("damaged")
    (folder / "archive").write_bytes(damaged[: data.draw(st.integers(0, len(damaged)))])
    (folder / "target").mkdir()
    for unpack_it in (unpack_zip, unpack_tar):
        with contextlib.suppress(UnsafeArchiveError):
            unpack_it(folder / "archive", folder / "target", max_bytes=_MIB)
    assert {path.name for path in folder.iterdir()} == {"archive", "target"}


@pytest.mark.parametrize(
    ("name", "kept"),
    [
        ("digits.npz", "digits.npz"),
        ("../../x", "x"),
        (".hidden", "hidden"),
        ("", "dataset"),
        ("a b\0c", "a b_c"),
        ("..", "dataset"),
    ],
)
def test_a_plain_file_gets_a_harmless_name(tmp_path: Path, name: str, kept: str) -> None:
    (tmp_path / "source").write_bytes(b"x")
    (tmp_path / "target").mkdir()
    assert place_file(tmp_path / "source", tmp_path / "target", name=name) == tmp_path / "target" / kept
