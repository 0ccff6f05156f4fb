"""Make an example ready for upload: ``python -m examples.build digits-mlp --out DIR`` prints what it made, as JSON.

The files are the same bytes every time, so their SHA-256 says whether an example changed, and a node that has them cached
does not download them again.
"""

import argparse
import json
import shutil
import zipfile
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent
ZIP_EPOCH = (1980, 1, 1, 0, 0, 0)
READABLE_FILE = 0o100644 << 16
UNIX = 3


class UnknownExampleError(ValueError):
    """No example has this name. The text lists those that exist."""


@dataclass(frozen=True)
class Dataset:
    """``content_type`` tells the platform to hand the file over as it is, not to unpack it (an .npz is a zip inside)."""

    path: Path
    content_type: str


@dataclass(frozen=True)
class Built:
    """Two files to upload, and the training job's body, which lacks only the ids of the uploads."""

    dataset_path: Path
    dataset_name: str
    dataset_content_type: str
    package_path: Path
    job: dict[str, Any]


DIGITS = Dataset(path=HERE / "digits-mlp" / "dataset" / "digits.npz", content_type="application/octet-stream")
DATASETS = {
    "digits-mlp": DIGITS,
    "digits-sweep": DIGITS,
    "char-lm": Dataset(path=HERE / "char-lm" / "dataset" / "alice.txt", content_type="text/plain"),
}


def build(name: str, out: Path) -> Built:
    """Write the example's dataset and package into ``out``, which is created. Raises UnknownExampleError."""
    if name not in DATASETS:
        raise UnknownExampleError(f"no example is called {name!r}; there are {', '.join(sorted(DATASETS))}")
    dataset = DATASETS[name]
    out.mkdir(parents=True, exist_ok=True)
    dataset_path = out / dataset.path.name
    shutil.copyfile(dataset.path, dataset_path)
    package_path = out / f"{name}.zip"
    pack(HERE / name / "package", package_path)
    return Built(
        dataset_path=dataset_path,
        dataset_name=dataset.path.name,
        dataset_content_type=dataset.content_type,
        package_path=package_path,
        job=json.loads((HERE / name / "job.json").read_text(encoding="utf-8")),
    )


def pack(folder: Path, target: Path) -> None:
    """Zip a package folder, without what Python or an editor left in it. Stored, not deflated: zlib versions differ."""
    with zipfile.ZipFile(target, "w", zipfile.ZIP_STORED) as archive:
        for file in sorted(folder.rglob("*")):
            inside = file.relative_to(folder)
            if not file.is_file() or any(part.startswith((".", "__pycache__")) for part in inside.parts):
                continue
            entry = zipfile.ZipInfo(inside.as_posix(), date_time=ZIP_EPOCH)
            entry.external_attr, entry.create_system = READABLE_FILE, UNIX
            archive.writestr(entry, file.read_bytes())


def main() -> None:
    parser = argparse.ArgumentParser(description="Make an example's dataset file and package zip.")
    parser.add_argument("name", choices=sorted(DATASETS))
    parser.add_argument("--out", type=Path, required=True, help="folder to write into")
    chosen = parser.parse_args()
    print(json.dumps(asdict(build(chosen.name, chosen.out)), indent=1, default=str))


if __name__ == "__main__":
    main()
