"""Assets built without Docker."""

import zipfile
from pathlib import Path

import pytest

from infra.constructs.bundling import BundlingError, CopyAndCompile, InstallLocked, dependencies_code

WHEEL = "demo-1.0-py3-none-any.whl"


def test_sources_are_compiled_so_that_a_cold_start_need_not(tmp_path: Path) -> None:
    _write(tmp_path / "source" / "room" / "handler.py", "handler = 1\n")
    _write(tmp_path / "source" / "room" / "__pycache__" / "stale.cpython-310.pyc", "old")
    CopyAndCompile(source=tmp_path / "source", into="functions").try_bundle(str(tmp_path / "out"))
    files = sorted(path.name for path in (tmp_path / "out" / "functions").rglob("*") if path.is_file())
    assert files == ["handler.cpython-311.pyc", "handler.py"]


def test_byte_code_is_trusted_without_looking_at_the_source_and_names_no_build_path(tmp_path: Path) -> None:
    _write(tmp_path / "source" / "handler.py", "handler = 1\n")
    CopyAndCompile(source=tmp_path / "source", into="functions").try_bundle(str(tmp_path / "out"))
    (compiled,) = (tmp_path / "out").rglob("*.pyc")
    content = compiled.read_bytes()
    assert content[4:8] == b"\x01\x00\x00\x00"  # unchecked hash, PEP 552
    assert str(tmp_path).encode() not in content


def test_a_file_that_does_not_compile_is_never_shipped(tmp_path: Path) -> None:
    _write(tmp_path / "source" / "handler.py", "def broken(:\n")
    with pytest.raises(BundlingError, match="does not compile"):
        CopyAndCompile(source=tmp_path / "source", into="functions").try_bundle(str(tmp_path / "out"))


def test_the_lock_is_installed_into_the_layer(tmp_path: Path) -> None:
    _wheel(tmp_path / WHEEL)
    _write(tmp_path / "functions.lock", f"{tmp_path / WHEEL}\n")
    InstallLocked(lock=tmp_path / "functions.lock").try_bundle(str(tmp_path / "out"))
    assert (tmp_path / "out" / "python" / "demo.py").is_file()
    assert list((tmp_path / "out" / "python" / "__pycache__").glob("demo.*.pyc"))


def test_what_cannot_be_installed_says_what_to_do(tmp_path: Path) -> None:
    _write(tmp_path / "functions.lock", f"{tmp_path / 'missing.whl'}\n")
    with pytest.raises(BundlingError, match="bundle_deps=false"):
        InstallLocked(lock=tmp_path / "functions.lock").try_bundle(str(tmp_path / "out"))


def test_a_missing_lock_is_said_before_anything_is_downloaded(tmp_path: Path) -> None:
    with pytest.raises(BundlingError, match=r"functions\.lock is missing"):
        dependencies_code(tmp_path / "functions.lock")


def _write(path: Path, content: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(content, encoding="utf-8")


def _wheel(path: Path) -> None:
    with zipfile.ZipFile(path, "w") as wheel:
        wheel.writestr("demo.py", "answer = 42\n")
        wheel.writestr("demo-1.0.dist-info/METADATA", "Metadata-Version: 2.1\nName: demo\nVersion: 1.0\n")
        wheel.writestr("demo-1.0.dist-info/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
        wheel.writestr("demo-1.0.dist-info/RECORD", "")
