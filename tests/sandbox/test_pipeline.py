"""The built-in roles and the hand-over between units, through the real sandbox."""

import json
import tarfile
from pathlib import Path

import pytest

from gpupool.planning.limits import MAX_NEEDS
from gpupool.wire.vocabulary import UnitRole
from node_agent.sandbox import NeedFile, NeedInput, OutcomeStatus, UnitFiles, UnitOutcome, UnitSpec
from node_agent.sandbox.bubblewrap import BubblewrapSandbox
from node_agent.selection import Trial, select
from tests.sandbox.lab import ROOMY, Lab, package_of

pytestmark = pytest.mark.sandbox

_PACKAGE = package_of(
    {
        "train.py": """
import json, os, sys
data = open(os.environ["SM_CHANNEL_TRAINING"] + "/data.txt").read()
open(os.environ["SM_MODEL_DIR"] + "/weights", "w").write(data * 2)
print(json.dumps({"loss": float(sys.argv[sys.argv.index("--loss") + 1])}))
""",
        "evaluate.py": """
import json, os
weights = open(os.environ["SM_CHANNEL_MODEL"] + "/weights").read()
open(os.environ["SM_OUTPUT_DATA_DIR"] + "/report.txt", "w").write(weights)
print(json.dumps({"length": len(weights)}))
""",
    }
)


class Line:
    """Runs units one after the other on the same package and dataset, handing outputs over as needs."""

    def __init__(self, folder: Path, environment: Path) -> None:
        self.outcomes: dict[str, UnitOutcome] = {}
        self._folder = folder
        self._environment = environment
        (folder / "package").write_bytes(_PACKAGE)
        (folder / "dataset").write_bytes(package_of({"data.txt": "abc"}))

    def run(self, name: str, role: UnitRole, *, needs: tuple[str, ...] = (), **changes: object) -> UnitOutcome:
        root = self._folder / f"work-{name}"
        root.mkdir()
        is_script = role in (UnitRole.TRAIN, UnitRole.EVALUATE)
        spec = UnitSpec(
            role=role,
            dataset_content_type="application/zip",
            needs=tuple(self._need(need) for need in needs),
            **changes,  # type: ignore[arg-type]
        )
        files = UnitFiles(
            root=root,
            package=self._folder / "package",
            dataset=self._folder / "dataset",
            environment=self._environment if is_script else None,
        )
        log = bytearray()
        outcome = BubblewrapSandbox().start(spec, files, limits=ROOMY, on_output=log.extend).wait(60)
        assert outcome is not None
        assert outcome.status is OutcomeStatus.SUCCEEDED, (outcome, bytes(log))
        self.outcomes[name] = outcome
        return outcome

    def _need(self, name: str) -> NeedInput:
        role = UnitRole(name.partition("_")[0])
        files = tuple(NeedFile(artifact.name, artifact.path) for artifact in self.outcomes[name].artifacts)
        return NeedInput(name, role, files)


@pytest.fixture
def line(tmp_path: Path, environment: Path) -> Line:
    return Line(tmp_path, environment)


def _content(outcome: UnitOutcome, archive: str) -> dict[str, bytes]:
    path = next(artifact.path for artifact in outcome.artifacts if artifact.name == archive)
    with tarfile.open(path) as tar:
        return {member.name: tar.extractfile(member).read() for member in tar}  # type: ignore[union-attr]


def test_prepare_train_evaluate_package(line: Line) -> None:
    prepared = line.run("prepare", UnitRole.PREPARE)
    assert prepared.metrics == {"dataset_files": 1, "dataset_bytes": 3}
    line.run("train", UnitRole.TRAIN, entry="train.py", parameters={"loss": 0.5})
    line.run("evaluate", UnitRole.EVALUATE, entry="evaluate.py", needs=("train",))
    packaged = line.run("package", UnitRole.PACKAGE, needs=("train", "evaluate"))
    assert packaged.metrics == {"loss": 0.5, "length": 6}
    files = _content(packaged, "model.tar.gz")
    assert files["weights"] == b"abcabc"
    assert files["reports/evaluate/report.txt"] == b"abcabc"
    assert json.loads(files["MANIFEST.json"])["metrics"] == {"loss": 0.5, "length": 6}


def test_sweep_and_select(line: Line) -> None:
    for index, loss in enumerate((0.5, 0.1, 0.9)):
        line.run(f"train_{index:03d}", UnitRole.TRAIN, entry="train.py", parameters={"loss": loss})
    trials = [Trial(name, name, UnitRole.TRAIN, outcome.metrics["loss"]) for name, outcome in line.outcomes.items()]
    chosen = select(trials, objective="loss", goal="minimize")
    wishes = {"objective": "loss", "goal": "minimize", "selection": chosen.document}
    selected = line.run("select", UnitRole.SELECT, needs=tuple(chosen.unit_ids), **wishes)
    assert selected.metrics == {"loss": 0.1}
    assert json.loads(_content(selected, "output.tar.gz")["selection.json"])["selected"] == "001"
    assert json.loads(_content(selected, "model.tar.gz")["MANIFEST.json"])["units"][0]["name"] == "train_001"


def test_a_unit_may_have_as_many_needs_as_a_manifest_may_write(lab: Lab, tmp_path: Path) -> None:
    archive, lines = tmp_path / "archive", tmp_path / "lines"
    with tarfile.open(archive, "w:gz"):
        pass
    lines.write_text('{"x": 1}\n')
    left = tuple(NeedFile(name, archive) for name in ("model.tar.gz", "checkpoint.tar.gz", "output.tar.gz"))
    needs = tuple(
        NeedInput(f"need_{index:03d}", UnitRole.RUN, (*left, NeedFile("metrics.jsonl", lines))) for index in range(MAX_NEEDS)
    )
    source = """
import json, os
channels = [name for name in os.listdir("/opt/ml/input/data") if name.startswith("need_")]
print(json.dumps({"channels": len(channels)}))
"""
    outcome = lab.run(source, needs=needs, role=UnitRole.RUN).outcome
    assert (outcome.status, outcome.metrics) == (OutcomeStatus.SUCCEEDED, {"channels": MAX_NEEDS})
