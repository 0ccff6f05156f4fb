"""The line of one unit, from the doorbell to the report, against a control plane on the wire."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from gpupool.wire import units as wire
from gpupool.wire.errors import NodeErrorCode
from gpupool.wire.failures import FailureCode
from gpupool.wire.vocabulary import ArtifactKind, UnitRole
from node_agent.agent import Parts
from node_agent.environments.memory import MemoryEnvironments
from node_agent.exit_codes import ExitCode
from node_agent.report import Reporter
from node_agent.sandbox.memory import Script
from node_agent.state import STATUS_FILE
from tests.agent.fake_control_plane import FakeControlPlane, unit_id
from tests.agent.fake_http import LOST_ANSWER, LOST_CALL, UNAVAILABLE, Answer, Trouble, refused
from tests.agent.harness import AgentInThread, TalkingSandbox, eventually


def is_idle(agent: AgentInThread) -> bool:
    return not list(agent.work_root.iterdir())


def test_a_unit_runs_and_its_outputs_arrive(control_plane: FakeControlPlane, agent: AgentInThread) -> None:
    unit = control_plane.add_unit(parameters={"epochs": 3}, args=["--quiet"])
    agent.start(Script(output=b'{"loss": 0.5, "epoch": 1, "epochs": 2}\nbye\n', metrics={"accuracy": 0.97}))

    report = eventually(lambda: unit.completed)

    assert report["metrics"] == {"loss": 0.5, "epoch": 1.0, "epochs": 2.0, "accuracy": 0.97}
    assert report["runtime_seconds"] == 1.5
    assert report["peak_memory_mb"] == 64
    assert [output["name"] for output in report["outputs"]] == ["model.tar.gz", "log.txt"]
    assert control_plane.uploaded(unit, "model.tar.gz") == b"model"
    assert control_plane.uploaded(unit, "log.txt").endswith(b"bye\n")
    eventually(lambda: is_idle(agent), what="the work folder is gone")


def test_the_sandbox_gets_what_the_grant_says(control_plane: FakeControlPlane, agent: AgentInThread) -> None:
    model = wire.NeedOutput(name="model.tar.gz", kind=ArtifactKind.MODEL, download=control_plane.store(b"weights"))
    unit = control_plane.add_unit(
        role=UnitRole.EVALUATE,
        entry="evaluate.py",
        parameters={"epochs": 3},
        args=["--quiet"],
        requirements="requirements.txt",
        required_vram_mb=8000,
        needs=[wire.NeedInput(unit_name="train", role=UnitRole.TRAIN, outputs=[model])],
    )
    agent.start()
    eventually(lambda: unit.completed)

    started = agent.sandbox.started[0]
    assert (started.spec.role, started.spec.entry, started.spec.args) == (UnitRole.EVALUATE, "evaluate.py", ("--quiet",))
    assert started.spec.parameters == {"epochs": 3}
    assert started.spec.has_gpu
    assert started.spec.needs[0].files[0].path.read_bytes() == b"weights"
    assert started.files.package.read_bytes() == b"a package"
    assert started.files.environment == agent.environments.root
    assert agent.environments.asked == [(started.files.package, "requirements.txt")]
    assert agent.sandbox.limits[0].wall_seconds == 600


@pytest.mark.parametrize("role", [UnitRole.PACKAGE, UnitRole.SELECT])
def test_the_platforms_own_roles_need_no_environment_and_no_dataset(
    role: UnitRole, control_plane: FakeControlPlane, agent: AgentInThread
) -> None:
    trained = wire.NeedInput(unit_name="train", role=UnitRole.TRAIN, outputs=[], unit_id=unit_id(0), measured=1.0)
    unit = control_plane.add_unit(role=role, entry=None, needs=[trained], objective="accuracy")
    agent.start(Script(artifacts=()))
    eventually(lambda: unit.completed)
    assert agent.environments.asked == []
    assert agent.sandbox.started[0].files.dataset is None


def test_a_failed_script_is_reported_with_its_cause_and_the_end_of_its_log(
    control_plane: FakeControlPlane, agent: AgentInThread
) -> None:
    unit = control_plane.add_unit()
    agent.start(
        Script(
            output=b"x" * 9000 + b"\nValueError: no\n", failure=FailureCode.SCRIPT_FAILED, message="exit code 3", exit_code=3
        )
    )
    report = eventually(lambda: unit.failures)[0]
    assert (report["code"], report["message"], report["exit_code"]) == ("SCRIPT_FAILED", "exit code 3", 3)
    assert report["runtime_seconds"] == 1.5
    assert report["log_tail"].endswith("ValueError: no\n")
    assert len(report["log_tail"]) == 8000
    assert [output["name"] for output in report["outputs"]] == ["log.txt"]
    assert control_plane.uploaded(unit, "log.txt").startswith(b"xxx")
    eventually(lambda: is_idle(agent))


def test_an_environment_that_cannot_be_built_fails_the_unit(
    control_plane: FakeControlPlane, agent: AgentInThread, tmp_path: Path
) -> None:
    agent.environments = MemoryEnvironments(tmp_path, failure="no such package: nonsuch")
    unit = control_plane.add_unit()
    agent.start()
    report = eventually(lambda: unit.failures)[0]
    assert (report["code"], report["message"]) == ("ENVIRONMENT_FAILED", "no such package: nonsuch")
    assert agent.sandbox.started == []


def test_a_damaged_input_fails_the_unit(control_plane: FakeControlPlane, agent: AgentInThread) -> None:
    download = control_plane.store(b"what was declared")
    control_plane.blobs[f"/blobs/{download.sha256}"] = b"what has arrived!"
    unit = control_plane.add_unit(dataset=wire.DatasetInput(name="d", content_type="text/csv", download=download))
    agent.start()
    assert eventually(lambda: unit.failures, within=30)[0]["code"] == "INPUT_CORRUPT"
    assert control_plane.calls["get"] == 3  # the package once; the dataset twice, as a transfer may go wrong


def test_a_dataset_whose_declared_digest_nobody_checked_fails_for_its_owner_to_see(
    control_plane: FakeControlPlane, agent: AgentInThread
) -> None:
    download = control_plane.store(b"what was declared").model_copy(update={"declared_as": "dataset-1"})
    control_plane.blobs[f"/blobs/{download.sha256}"] = b"what has arrived!"
    unit = control_plane.add_unit(dataset=wire.DatasetInput(name="d", content_type="text/csv", download=download))
    agent.start()
    report = eventually(lambda: unit.failures, within=30)[0]
    assert report["code"] == "DATASET_MISMATCH"
    assert download.sha256 in report["message"]
    assert control_plane.calls["get"] == 3  # the package once; the dataset twice, as a transfer may go wrong


def test_a_digest_alone_does_not_open_what_another_unit_fetched(control_plane: FakeControlPlane, agent: AgentInThread) -> None:
    secret = control_plane.store(b"somebody's rows")
    first = control_plane.add_unit(dataset=wire.DatasetInput(name="d", content_type="text/csv", download=secret))
    agent.start()
    eventually(lambda: first.completed)
    control_plane.blobs["/blobs/junk"] = b"x" * secret.size_bytes
    claimed = secret.model_copy(update={"url": f"{control_plane.url}/blobs/junk", "declared_as": "dataset-2"})
    second = control_plane.add_unit(2, dataset=wire.DatasetInput(name="d", content_type="text/csv", download=claimed))
    assert eventually(lambda: second.failures, within=30)[0]["code"] == "DATASET_MISMATCH"
    assert len(agent.sandbox.started) == 1


def test_a_dataset_that_is_what_was_declared_is_fetched_once_for_all_its_units(
    control_plane: FakeControlPlane, agent: AgentInThread
) -> None:
    download = control_plane.store(b"rows").model_copy(update={"declared_as": "dataset-1"})
    dataset = wire.DatasetInput(name="d", content_type="text/csv", download=download)
    units = [control_plane.add_unit(number, dataset=dataset) for number in (1, 2)]
    agent.start()
    for unit in units:
        eventually(lambda unit=unit: unit.completed)
    assert control_plane.calls["get"] == 2  # the package and the dataset


def test_an_input_larger_than_declared_is_not_taken(control_plane: FakeControlPlane, agent: AgentInThread) -> None:
    download = control_plane.store(b"small")
    control_plane.blobs[f"/blobs/{download.sha256}"] = b"small" * 1_000_000
    unit = control_plane.add_unit(dataset=wire.DatasetInput(name="d", content_type="text/csv", download=download))
    agent.start()
    assert eventually(lambda: unit.failures, within=30)[0]["code"] == "INPUT_CORRUPT"


def test_an_input_that_is_not_there_fails_the_unit(control_plane: FakeControlPlane, agent: AgentInThread) -> None:
    missing = wire.Download(url=f"{control_plane.url}/blobs/none", sha256="0" * 64, size_bytes=3)
    unit = control_plane.add_unit(dataset=wire.DatasetInput(name="d", content_type="text/csv", download=missing))
    agent.start()
    assert eventually(lambda: unit.failures)[0]["code"] == "INPUT_UNAVAILABLE"


def test_an_input_is_not_fetched_over_an_open_line(control_plane: FakeControlPlane, agent: AgentInThread) -> None:
    open_line = wire.Download(url="http://store.example/x", sha256="0" * 64, size_bytes=3)
    unit = control_plane.add_unit(dataset=wire.DatasetInput(name="d", content_type="text/csv", download=open_line))
    agent.start()
    report = eventually(lambda: unit.failures)[0]
    assert report["code"] == "INPUT_UNAVAILABLE"
    assert "https" in report["message"]


def test_an_input_named_like_a_path_is_refused(control_plane: FakeControlPlane, agent: AgentInThread) -> None:
    odd = wire.Download(url=f"{control_plane.url}/blobs/none", sha256="../../escaped", size_bytes=3)
    unit = control_plane.add_unit(dataset=wire.DatasetInput(name="d", content_type="text/csv", download=odd))
    agent.start()
    assert eventually(lambda: unit.failures)[0]["code"] == "INPUT_UNAVAILABLE"


def test_a_broken_download_goes_on_where_it_stopped(control_plane: FakeControlPlane, agent: AgentInThread) -> None:
    content = bytes(range(256)) * 4000
    download = control_plane.store(content)
    cut = Answer(body=content, media_type="application/octet-stream", cut_after=700_000)
    unit = control_plane.add_unit(package=download)
    control_plane.trouble("get", Trouble(instead=cut))
    agent.start()
    eventually(lambda: unit.completed)
    assert agent.sandbox.started[0].files.package.read_bytes() == content


def test_inputs_are_fetched_once_for_many_units(control_plane: FakeControlPlane, agent: AgentInThread) -> None:
    first, second = control_plane.add_unit(1), control_plane.add_unit(2)
    agent.start()
    eventually(lambda: first.completed and second.completed)
    assert control_plane.calls["get"] == 2  # the package and the dataset


def test_output_over_the_limit_is_not_uploaded(control_plane: FakeControlPlane, agent: AgentInThread) -> None:
    unit = control_plane.add_unit()
    agent.start(Script(artifacts=(("model.tar.gz", ArtifactKind.MODEL, b"x" * 1_000_001),)))
    report = eventually(lambda: unit.failures)[0]
    assert report["code"] == "OUTPUT_TOO_LARGE"
    assert f"/uploads/{unit_id(1)}/1/model.tar.gz" not in control_plane.blobs


def test_a_defect_in_a_part_ends_the_unit_and_not_the_agent(
    control_plane: FakeControlPlane, agent: AgentInThread, caplog: pytest.LogCaptureFixture
) -> None:
    class BrokenEnvironments(MemoryEnvironments):
        def for_package(self, *_arguments: object, **_keywords: object) -> Path:
            raise ZeroDivisionError

    agent.environments = BrokenEnvironments(agent.folder)
    broken = control_plane.add_unit(1)
    fine = control_plane.add_unit(2, role=UnitRole.PACKAGE)
    agent.start()
    assert eventually(lambda: broken.failures)[0]["code"] == "INTERNAL"
    eventually(lambda: fine.completed)
    assert "unit.defect" in caplog.text


def test_a_message_that_is_no_text_is_reported_as_text(control_plane: FakeControlPlane, agent: AgentInThread) -> None:
    forged = control_plane.add_unit(1)
    agent.start(Script(failure=FailureCode.SCRIPT_FAILED, message="half a character: \ud800", exit_code=1))
    report = eventually(lambda: forged.failures)[0]
    assert (report["code"], report["message"]) == ("SCRIPT_FAILED", "half a character: ?")
    fine = control_plane.add_unit(2)
    eventually(lambda: fine.completed)


class _BrokenReporter:
    """Cannot tell the first ``broken`` failures; the rest is told by a real one."""

    def __init__(self, reporter: Reporter, *, broken: int) -> None:
        self._reporter = reporter
        self._broken = broken

    def __getattr__(self, name: str) -> Any:
        return getattr(self._reporter, name)

    def fail(self, *arguments: Any, **keywords: Any) -> None:
        if self._broken:
            self._broken -= 1
            raise ZeroDivisionError
        self._reporter.fail(*arguments, **keywords)


@pytest.mark.parametrize(("broken", "logged", "told"), [(1, "unit.defect", ["INTERNAL"]), (2, "report.defect", [])])
def test_a_report_that_meets_a_defect_ends_the_unit_and_not_the_agent(
    broken: int,
    logged: str,
    told: list[str],
    control_plane: FakeControlPlane,
    agent: AgentInThread,
    caplog: pytest.LogCaptureFixture,
) -> None:
    def break_reporter(parts: Parts) -> Parts:
        reporter: Any = _BrokenReporter(parts.tools.reporter, broken=broken)
        return replace(parts, tools=replace(parts.tools, reporter=reporter))

    agent.change_parts = break_reporter
    unit = control_plane.add_unit(1)
    agent.start(Script(failure=FailureCode.SCRIPT_FAILED, exit_code=1))
    eventually(lambda: logged in caplog.text)
    eventually(lambda: is_idle(agent))
    assert [report["code"] for report in unit.failures] == told
    fine = control_plane.add_unit(2)
    eventually(lambda: fine.completed)


def test_what_cannot_be_removed_for_a_defect_does_not_end_the_agent(
    control_plane: FakeControlPlane, agent: AgentInThread, caplog: pytest.LogCaptureFixture
) -> None:
    class KeepingSandbox(TalkingSandbox):
        def destroy(self, root: Path) -> None:
            raise ZeroDivisionError

    agent.sandbox = KeepingSandbox()
    units = [control_plane.add_unit(number) for number in (1, 2)]
    agent.start()
    eventually(lambda: all(unit.completed for unit in units))
    eventually(lambda: caplog.text.count("unit.defect") >= 2)


def test_an_agent_whose_status_cannot_be_written_works_on(
    control_plane: FakeControlPlane, agent: AgentInThread, caplog: pytest.LogCaptureFixture
) -> None:
    (agent.folder / "state" / STATUS_FILE).mkdir(parents=True)
    unit = control_plane.add_unit()
    agent.start()
    eventually(lambda: unit.completed)
    eventually(lambda: control_plane.calls["heartbeat"] >= 2)
    assert "status.unwritten" in caplog.text
    agent.signal()
    assert agent.wait() is ExitCode.STOPPED


# Every step may fail once, or happen twice because its answer was lost.

_STEPS = ["credentials", "heartbeat", "claim", "get", "outputs", "put", "complete"]


@pytest.mark.parametrize("trouble", [LOST_CALL, UNAVAILABLE], ids=["lost call", "503"])
@pytest.mark.parametrize("step", _STEPS)
def test_a_step_that_fails_once_is_repeated(
    step: str, trouble: Trouble, control_plane: FakeControlPlane, agent: AgentInThread
) -> None:
    control_plane.trouble(step, trouble)
    unit = control_plane.add_unit()
    agent.start()
    eventually(lambda: unit.completed)
    assert unit.attempt == 1
    eventually(lambda: control_plane.calls[step] >= 2)


@pytest.mark.parametrize("step", ["credentials", "heartbeat", "get", "outputs", "put", "complete"])
def test_a_step_that_happens_twice_changes_nothing(step: str, control_plane: FakeControlPlane, agent: AgentInThread) -> None:
    control_plane.trouble(step, LOST_ANSWER)
    unit = control_plane.add_unit()
    agent.start()
    eventually(lambda: unit.completed)
    assert unit.attempt == 1
    assert not unit.failures
    eventually(lambda: is_idle(agent))


def test_a_lost_grant_is_left_to_lapse(control_plane: FakeControlPlane, agent: AgentInThread) -> None:
    control_plane.trouble("claim", LOST_ANSWER)
    lost = control_plane.add_unit(1)
    agent.start()
    eventually(lambda: control_plane.calls["claim"] >= 2)
    other = control_plane.add_unit(2)
    eventually(lambda: other.completed)
    assert (lost.status, lost.completed, lost.failures) == ("running", None, [])


@pytest.mark.parametrize("trouble", [LOST_CALL, LOST_ANSWER, UNAVAILABLE], ids=["lost call", "lost answer", "503"])
def test_the_report_of_a_failure_arrives_once(trouble: Trouble, control_plane: FakeControlPlane, agent: AgentInThread) -> None:
    control_plane.trouble("fail", trouble)
    unit = control_plane.add_unit()
    agent.start(Script(failure=FailureCode.OUT_OF_MEMORY))
    eventually(lambda: unit.failures and is_idle(agent))
    assert [report["code"] for report in unit.failures] == ["OUT_OF_MEMORY"]


def test_an_upload_that_went_missing_is_sent_again(control_plane: FakeControlPlane, agent: AgentInThread) -> None:
    control_plane.trouble("put", Trouble(instead=Answer()))  # says yes and keeps nothing
    unit = control_plane.add_unit()
    agent.start()
    eventually(lambda: unit.completed)
    assert control_plane.uploaded(unit, "model.tar.gz") == b"model"


def test_a_finished_result_is_not_given_up_for_a_short_outage_of_the_store(
    control_plane: FakeControlPlane, agent: AgentInThread
) -> None:
    control_plane.trouble("put", *[LOST_CALL] * 5)
    unit = control_plane.add_unit()
    agent.start(Script(output=b""))
    eventually(lambda: unit.completed or unit.failures, within=60)
    assert unit.failures == []
    assert control_plane.uploaded(unit, "model.tar.gz") == b"model"


def test_a_log_that_cannot_be_stored_does_not_hold_up_the_report_of_a_failure(
    control_plane: FakeControlPlane, agent: AgentInThread
) -> None:
    control_plane.trouble("put", *[LOST_CALL] * 100)
    unit = control_plane.add_unit()
    agent.start(Script(failure=FailureCode.OUT_OF_MEMORY))
    report = eventually(lambda: unit.failures)[0]
    assert (report["code"], report.get("outputs", [])) == ("OUT_OF_MEMORY", [])


def test_an_expired_upload_url_is_asked_for_again(control_plane: FakeControlPlane, agent: AgentInThread) -> None:
    control_plane.trouble("put", Trouble(instead=Answer(status=403)))
    unit = control_plane.add_unit()
    agent.start()
    eventually(lambda: unit.completed)
    assert control_plane.calls["outputs"] == 2


def test_a_store_that_refuses_for_good_fails_the_unit(control_plane: FakeControlPlane, agent: AgentInThread) -> None:
    control_plane.trouble("put", *[Trouble(instead=Answer(status=403))] * 20)
    unit = control_plane.add_unit()
    agent.start()
    report = eventually(lambda: unit.failures)[0]
    assert report["code"] == "UPLOAD_FAILED"
    assert report.get("outputs", []) == []


def test_a_report_that_is_refused_as_wrong_is_not_repeated(control_plane: FakeControlPlane, agent: AgentInThread) -> None:
    control_plane.trouble("complete", refused(422, NodeErrorCode.VALIDATION_FAILED))
    control_plane.add_unit()
    agent.start()
    eventually(lambda: control_plane.calls["complete"] and is_idle(agent))
    assert control_plane.calls["complete"] == 1
