"""Training packages small enough to read: good ones, clumsy ones and hostile ones."""

import io
import tarfile
import textwrap
import zipfile
from collections.abc import Callable

MODEL = 'open(os.environ["SM_MODEL_DIR"] + "/model.txt", "w").write("weights")'

# Trains for no time at all: reads its data, says a metric, leaves a model.
TRAIN = f"""
import json, os, pathlib
data = sorted(pathlib.Path(os.environ["SM_CHANNEL_TRAINING"]).iterdir())
rows = data[0].read_text().split()
print(json.dumps({{"loss": 1 / len(rows), "progress": 1.0}}), flush=True)
{MODEL}
"""

# Runs until somebody ends it, under a marker that finds its process; says on which attempt it may finish.
WAIT = f"""
import argparse, os, threading
parser = argparse.ArgumentParser()
parser.add_argument("--marker")
parser.add_argument("--seconds", type=float)
asked = parser.parse_args()
print("waiting", flush=True)
threading.Event().wait(asked.seconds)
{MODEL}
"""
WAIT_MANIFEST = """
[package]
entry = "train.py"
[parameters]
marker = "none"
seconds = 600.0
"""


def package(**files: str | bytes) -> bytes:
    """A zip; ``train_py="..."`` becomes ``train.py``, ``gpu_agent_toml`` the manifest."""
    return zipped({_file_name(key): content for key, content in files.items()})


def zipped(files: dict[str, str | bytes]) -> bytes:
    """A zip of ``files`` by their paths."""

    def write(archive: zipfile.ZipFile) -> None:
        for path, content in files.items():
            archive.writestr(path, _bytes(content))

    return _zip(write)


def script(source: str) -> bytes:
    """A package without a manifest that trains with ``source``."""
    return package(train_py=source)


def one_unit(source: str, *, max_runtime_seconds: int, kind: str = "cpu") -> bytes:
    """A DAG of one unit ``run``; only a DAG may bound a unit's time below a minute."""
    manifest = f"""
        [strategy]
        kind = "dag"
        [[units]]
        name = "run"
        entry = "run.py"
        kind = "{kind}"
        max_runtime_seconds = {max_runtime_seconds}
    """
    return package(run_py=source, gpu_agent_toml=manifest)


def for_a_gpu() -> bytes:
    """One unit that waits for ever where no machine has the VRAM that its job asks for."""
    return one_unit(TRAIN, max_runtime_seconds=60, kind="gpu")


def waiting() -> bytes:
    """A package whose training waits; see ``WAIT`` for its parameters."""
    return package(train_py=WAIT, gpu_agent_toml=WAIT_MANIFEST)


def with_path(path: str) -> bytes:
    """A package with one file more, at ``path``."""
    return zipped({"train.py": TRAIN, path: "x"})


def with_symlink() -> bytes:
    """A package with a link to a file of the host."""

    def write(archive: zipfile.ZipFile) -> None:
        archive.writestr("train.py", TRAIN)
        link = zipfile.ZipInfo("data")
        link.create_system = 3
        link.external_attr = 0o120777 << 16
        archive.writestr(link, "/etc/passwd")

    return _zip(write)


def bomb() -> bytes:
    """A package of some 100 KB that unpacks to 100 MB."""
    return zipped({"train.py": TRAIN, "zeros.bin": bytes(100_000_000)})


def unpacked(archive: bytes) -> dict[str, bytes]:
    """The files of a .tar.gz artifact by their paths."""
    with tarfile.open(fileobj=io.BytesIO(archive)) as tar:
        files = ((member.name, tar.extractfile(member)) for member in tar if member.isfile())
        return {name.removeprefix("./"): content.read() for name, content in files if content is not None}


def _zip(write: Callable[[zipfile.ZipFile], object]) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        write(archive)
    return buffer.getvalue()


def _file_name(key: str) -> str:
    return "gpu-agent.toml" if key == "gpu_agent_toml" else key.replace("_py", ".py")


def _bytes(content: str | bytes) -> bytes:
    return textwrap.dedent(content).lstrip().encode() if isinstance(content, str) else content
