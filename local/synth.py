"""Synthesising the CDK app for the laptop, once per content of what goes into it."""

import hashlib
import json
import os
import shutil
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from infra.toolchain import bundled_node
from local.layout import PROJECT_PYTHON, REPO_ROOT, SYNTH_CACHE
from local.locks import exclusive

_INPUTS = ("infra", "functions", "layers", "cdk.json", "pyproject.toml")
_IGNORED_PARTS = {"__pycache__"}
_KEPT_ASSEMBLIES = 3
_TRIES = 5
_CONTEXT = {"stage": "local", "bundle_deps": "false"}
_ERROR_TAIL_LINES = 30


class SynthError(Exception):
    """The CDK app failed; the message ends with what it printed."""


def assembly(*, progress: Callable[[str], None], cache: Path = SYNTH_CACHE) -> Path:
    """The cloud assembly of the present sources, from the cache when nothing that goes into it changed.

    Of several processes that want the same assembly at once, one synthesises and the others wait for it.
    """
    with exclusive(cache / "synth.lock"):
        return _assembly(progress=progress, cache=cache)


def _assembly(*, progress: Callable[[str], None], cache: Path) -> Path:
    started = time.monotonic()
    for _ in range(_TRIES):
        content = content_hash()
        folder = cache / content
        if (folder / "manifest.json").exists():
            os.utime(folder)
            progress("template is unchanged")
            return folder
        if _synthesise_into(folder, content=content):
            _forget_old(cache, keep=folder)
            progress(f"template synthesised in {time.monotonic() - started:.1f} s")
            return folder
    raise SynthError("the sources keep changing while the template is synthesised; try again")


def _synthesise_into(folder: Path, *, content: str) -> bool:
    """Make the assembly of `content`; False, and nothing made, when the sources changed meanwhile."""
    draft = Path(tempfile.mkdtemp(prefix="draft-", dir=folder.parent))
    try:
        _synthesise(draft)
        if content_hash() != content:
            return False
        draft.rename(folder)
    finally:
        shutil.rmtree(draft, ignore_errors=True)
    return True


def content_hash() -> str:
    """A digest of every file that the template or its assets are made from."""
    digest = hashlib.sha256(json.dumps(_CONTEXT, sort_keys=True).encode())
    for path in _input_files():
        digest.update(str(path.relative_to(REPO_ROOT)).encode() + b"\0")
        digest.update(hashlib.sha256(path.read_bytes()).digest())
    return digest.hexdigest()[:24]


def _input_files() -> Iterator[Path]:
    for name in _INPUTS:
        root = REPO_ROOT / name
        if root.is_file():
            yield root
        for path in sorted(root.rglob("*")) if root.is_dir() else ():
            if path.is_file() and path.suffix != ".pyc" and not _IGNORED_PARTS & set(path.parts):
                yield path


def _synthesise(outdir: Path) -> None:
    environment = {**os.environ, "CDK_OUTDIR": str(outdir), "CDK_CONTEXT_JSON": json.dumps(_CONTEXT)}
    environment["CDK_VALIDATION"] = "false"
    node = bundled_node()
    if node is not None:
        environment.setdefault("JSII_NODE", str(node))
    result = subprocess.run(
        [str(PROJECT_PYTHON), "-m", "infra.app"],
        cwd=REPO_ROOT,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    if result.returncode != 0:
        tail = "\n".join((result.stdout + result.stderr).splitlines()[-_ERROR_TAIL_LINES:])
        raise SynthError(f"the template could not be synthesised:\n{tail}")


def _forget_old(cache: Path, *, keep: Path) -> None:
    folders = [path for path in cache.iterdir() if path.is_dir() and path != keep and not path.name.startswith("draft-")]
    folders.sort(key=lambda path: path.stat().st_mtime, reverse=True)
    for path in folders[_KEPT_ASSEMBLIES - 1 :]:
        shutil.rmtree(path, ignore_errors=True)
