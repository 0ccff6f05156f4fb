"""Lambda assets built on this machine, without Docker: copied or downloaded, then compiled for the target Python.

A read-only `/var/task` cannot keep `.pyc` files, so a bundle without them compiles every module on every cold start.
"""

import hashlib
import shutil
import subprocess
import sys
from pathlib import Path

import jsii
from aws_cdk import AssetHashType, BundlingOptions, DockerImage, IgnoreMode, ILocalBundling
from aws_cdk import aws_lambda as lambda_

ROOT = Path(__file__).resolve().parents[2]
LOCK = ROOT / "requirements" / "functions.lock"
TARGET_PYTHON = (3, 11)
# Lambda's Python 3.11 stands on Amazon Linux 2, whose C library is 2.26; wheels for a newer one would not load there.
TARGET_PLATFORMS = ("manylinux2014_aarch64", "manylinux_2_17_aarch64", "manylinux_2_26_aarch64")
_PIP_INSTALL = (
    *("-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--no-compile", "--no-deps"),
    *(word for platform in TARGET_PLATFORMS for word in ("--platform", platform)),
    "--only-binary=:all:",
    *("--implementation", "cp", "--python-version", ".".join(map(str, TARGET_PYTHON))),
)
_SOURCES_ONLY = ("**/__pycache__", "*.pyc", ".DS_Store")


class BundlingError(RuntimeError):
    """An asset could not be built; the sentence says what to do."""


@jsii.implements(ILocalBundling)
class CopyAndCompile:
    """Copies a folder into the asset and compiles it."""

    def __init__(self, *, source: Path, into: str) -> None:
        self._source = source
        self._into = into

    def try_bundle(self, output_dir: str, *_args: object, **_options: object) -> bool:
        target = Path(output_dir) / self._into
        shutil.copytree(self._source, target, ignore=shutil.ignore_patterns("__pycache__", "*.pyc"), dirs_exist_ok=True)
        _compile(target)
        return True


@jsii.implements(ILocalBundling)
class InstallLocked:
    """Installs a lock's wheels for the functions' platform, whatever machine this is."""

    def __init__(self, *, lock: Path) -> None:
        self._lock = lock

    def try_bundle(self, output_dir: str, *_args: object, **_options: object) -> bool:
        target = Path(output_dir) / "python"
        _run(
            [sys.executable, *_PIP_INSTALL, "--requirement", str(self._lock), "--target", str(target)],
            failure="the dependency layer could not be installed; check the network, or use -c bundle_deps=false",
        )
        shutil.rmtree(target / "bin", ignore_errors=True)
        _compile(target)
        return True


def functions_code(*, compiled: bool) -> lambda_.Code:
    """One asset that holds every function room; all functions share it."""
    return _folder_code(ROOT / "functions", into="functions", compiled=compiled)


def core_layer_code(*, compiled: bool) -> lambda_.Code:
    """The core package as a layer: a `python` folder, which Lambda puts on the path."""
    return _folder_code(ROOT / "layers" / "gpupool" / "python", into="python", compiled=compiled)


def dependencies_code(lock: Path = LOCK) -> lambda_.Code:
    """The third-party layer, from the lock.

    Raises BundlingError when the lock is missing, before anything is downloaded.
    """
    if not lock.is_file():
        raise BundlingError(f"{lock.name} is missing: write the lock, or synthesise with -c bundle_deps=false")
    content = f"{TARGET_PLATFORMS}\n{_version(TARGET_PYTHON)}\n{lock.read_text(encoding='utf-8')}"
    return lambda_.Code.from_asset(
        str(lock.parent),
        asset_hash=hashlib.sha256(content.encode()).hexdigest(),
        asset_hash_type=AssetHashType.CUSTOM,
        bundling=_bundling(InstallLocked(lock=lock)),
    )


def placeholder_code() -> lambda_.Code:
    """What stands for the third-party layer where the functions run on an environment that already has it."""
    return lambda_.Code.from_asset(str(Path(__file__).parent / "placeholder_layer"))


def _folder_code(folder: Path, *, into: str, compiled: bool) -> lambda_.Code:
    """A source folder as an asset with `into` at its root; as it is when `compiled` is off, so that a laptop can reload it."""
    if not compiled:
        return lambda_.Code.from_asset(
            str(folder.parent),
            exclude=["*", f"!{into}", f"!{into}/**", *_SOURCES_ONLY],
            ignore_mode=IgnoreMode.GIT,
        )
    return lambda_.Code.from_asset(
        str(folder),
        exclude=list(_SOURCES_ONLY),
        ignore_mode=IgnoreMode.GIT,
        bundling=_bundling(CopyAndCompile(source=folder, into=into)),
    )


def _bundling(local: ILocalBundling) -> BundlingOptions:
    # CDK asks for an image even though the local bundler never lets it come to that.
    return BundlingOptions(image=DockerImage.from_registry("unused"), local=local)


def _compile(target: Path) -> None:
    """Byte-code that only one minor version can read must be written by that version."""
    if sys.version_info[:2] != TARGET_PYTHON:
        raise BundlingError(f"bundles are compiled by Python {_version(TARGET_PYTHON)}; run the synthesis with that version")
    _run(
        [sys.executable, "-m", "compileall", "-q", "--invalidation-mode", "unchecked-hash", "-s", str(target), str(target)],
        failure=f"{target.name} holds a file that does not compile",
    )


def _run(command: list[str], *, failure: str) -> None:
    result = subprocess.run(command, capture_output=True, text=True, check=False)
    if result.returncode != 0:
        raise BundlingError(f"{failure}\n{(result.stderr or result.stdout).strip()}")


def _version(version: tuple[int, int]) -> str:
    return ".".join(str(part) for part in version)
