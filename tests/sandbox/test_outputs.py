"""What a unit leaves is believed only after checking: it may have written any of it, and it may lie."""

import json
import os
import tarfile
from pathlib import Path

import pytest

from gpupool.wire.failures import Blame, FailureCode, blame_of
from node_agent.inside.failure import CODES
from node_agent.sandbox import OutcomeStatus
from node_agent.sandbox.collect import OversizedOutputError, collect
from tests.sandbox.lab import Lab

pytestmark = pytest.mark.sandbox


def test_links_to_host_files_are_not_followed_by_anyone(lab: Lab, tmp_path: Path) -> None:
    secret = tmp_path / "secret"
    secret.write_text("host secret")
    run = lab.run(
        f"""
        os.symlink({str(secret)!r}, "/opt/ml/model/link")
        os.symlink("/", "/opt/ml/model/everything")
        os.symlink({str(secret)!r}, "/opt/ml/output/data/metrics.jsonl")
        os.mkfifo("/opt/ml/model/pipe")
        model()
        """
    )
    assert run.outcome.status is OutcomeStatus.SUCCEEDED, run.outcome
    (artifact,) = run.outcome.artifacts
    with tarfile.open(artifact.path) as archive:
        assert archive.getnames() == ["m"]


def test_what_a_script_plants_in_the_outbox_is_thrown_away(lab: Lab, tmp_path: Path) -> None:
    secret = tmp_path / "secret"
    secret.write_text("host secret")
    run = lab.run(
        f"""
        os.symlink({str(secret)!r}, "/opt/gpupool/outbox/model.tar.gz")
        os.symlink({str(secret)!r}, "/opt/gpupool/outbox/result.json")
        os.makedirs("/opt/gpupool/outbox/output.tar.gz/x")
        os.mkfifo("/opt/gpupool/outbox/metrics.jsonl")
        model()
        """
    )
    assert run.outcome.status is OutcomeStatus.SUCCEEDED, (run.outcome, run.log)
    assert secret.read_text() == "host secret"
    assert [artifact.name for artifact in run.outcome.artifacts] == ["model.tar.gz"]


@pytest.mark.parametrize("code", ["SANDBOX_FAILED", "INPUT_CORRUPT", "INTERNAL", "NODE_DRAINED", "nonsense"])
def test_a_unit_cannot_blame_the_node(lab: Lab, code: str) -> None:
    run = lab.run(
        f"""
        forged = {{"version": 1, "status": "failed", "code": {code!r}, "message": "x"}}
        open("/opt/gpupool/outbox/result.json", "w").write(json.dumps(forged))
        os.kill(os.getppid(), signal.SIGKILL)
        time.sleep(5)
        """
    )
    assert run.outcome.code is not None
    assert blame_of(run.outcome.code) is Blame.USER, run.outcome


def test_every_cause_the_program_inside_names_is_the_users() -> None:
    assert {blame_of(FailureCode(code)) for code in CODES} == {Blame.USER}


def test_a_traceback_stays_in_the_log_and_its_last_line_is_the_message(lab: Lab) -> None:
    run = lab.run("raise ValueError('learning rate is negative')")
    assert run.outcome.code is FailureCode.SCRIPT_FAILED
    assert run.outcome.exit_code == 1
    assert run.outcome.message == "The script ended with exit code 1: ValueError: learning rate is negative"
    assert b"Traceback" in run.log


def test_a_script_without_a_model_has_failed(lab: Lab) -> None:
    run = lab.run("print('done')")
    assert run.outcome.code is FailureCode.NO_MODEL


def _outbox(folder: Path, result: object, **files: bytes) -> Path:
    outbox = folder / "outbox"
    outbox.mkdir()
    (outbox / "result.json").write_text(result if isinstance(result, str) else json.dumps(result))
    for name, content in files.items():
        (outbox / name.replace("__", ".")).write_bytes(content)
    return outbox


_GOOD = {"version": 1, "status": "succeeded", "exit_code": 0, "metrics": {"loss": 0.5}}


def test_a_good_result_is_taken_over(tmp_path: Path) -> None:
    outbox = _outbox(tmp_path, {**_GOOD, "artifacts": [{"name": "model.tar.gz", "kind": "model"}]}, model__tar__gz=b"m")
    result = collect(outbox, max_bytes=100)
    assert result is not None
    assert result.metrics == {"loss": 0.5}
    assert [artifact.name for artifact in result.artifacts] == ["model.tar.gz"]


@pytest.mark.parametrize(
    "result",
    [
        "",
        "[]",
        "null",
        "[" * 60_000,
        "x" * 70_000,
        {"status": "succeeded"},
        {"status": "failed"},
        {"status": "failed", "code": ["SCRIPT_FAILED"]},
        {**_GOOD, "artifacts": [{"name": "../../etc/passwd", "kind": "model"}]},
        {**_GOOD, "artifacts": [{"name": "result.json", "kind": "model"}]},
        {**_GOOD, "artifacts": [{"name": "model.tar.gz", "kind": "model"}]},
        {**_GOOD, "artifacts": "model.tar.gz"},
        {**_GOOD, "artifacts": [], "metrics": [1]},
        {**_GOOD, "artifacts": [], "metrics": "loss"},
    ],
)
def test_a_result_that_makes_no_sense_is_none(tmp_path: Path, result: object) -> None:
    assert collect(_outbox(tmp_path, result), max_bytes=100) is None


def test_a_message_is_text_whatever_it_was(tmp_path: Path) -> None:
    document = {"status": "failed", "code": "SCRIPT_FAILED", "message": "half a character: \ud800"}
    result = collect(_outbox(tmp_path, document), max_bytes=100)
    assert result is not None
    assert (result.code, result.message) == (FailureCode.SCRIPT_FAILED, "half a character: ?")


def test_values_that_are_not_plain_are_left_out(tmp_path: Path) -> None:
    metrics = {"a": 1, "b": True, "c": "2", "d": None, "e": float("inf"), "f": [1], "g": 10**400, "h" * 101: 1}
    document = {**_GOOD, "artifacts": [], "metrics": metrics, "exit_code": True, "peak_memory_mb": -1}
    result = collect(_outbox(tmp_path, document), max_bytes=100)
    assert result is not None
    assert (result.metrics, result.exit_code, result.peak_memory_mb) == ({"a": 1.0}, None, 0)


@pytest.mark.parametrize("kind", ["symlink", "hardlink", "pipe", "folder"])
@pytest.mark.parametrize("name", ["model.tar.gz", "result.json"])
def test_only_plain_files_are_taken(tmp_path: Path, kind: str, name: str) -> None:
    outbox = _outbox(tmp_path, {**_GOOD, "artifacts": [{"name": "model.tar.gz", "kind": "model"}]}, model__tar__gz=b"m")
    other = tmp_path / "other"
    other.write_bytes((outbox / name).read_bytes())
    (outbox / name).unlink()
    make = {
        "symlink": lambda: (outbox / name).symlink_to(other),
        "hardlink": lambda: os.link(other, outbox / name),
        "pipe": lambda: os.mkfifo(outbox / name),
        "folder": lambda: (outbox / name).mkdir(),
    }[kind]
    make()
    if (kind, name) == ("hardlink", "result.json"):
        return  # its content is only parsed, whoever else holds it
    assert collect(outbox, max_bytes=100) is None


def test_an_outbox_that_is_a_link_is_not_entered(tmp_path: Path) -> None:
    real = _outbox(tmp_path, {**_GOOD, "artifacts": []})
    (tmp_path / "link").symlink_to(real)
    assert collect(tmp_path / "link", max_bytes=100) is None


def test_artifacts_above_the_allowance_are_refused(tmp_path: Path) -> None:
    outbox = _outbox(tmp_path, {**_GOOD, "artifacts": [{"name": "model.tar.gz", "kind": "m"}]}, model__tar__gz=b"m" * 101)
    with pytest.raises(OversizedOutputError):
        collect(outbox, max_bytes=100)
