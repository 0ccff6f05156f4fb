"""What holds for every function, and that the deployed ones are the rooms that exist."""

from pathlib import Path

import pytest

from gpupool import bootstrap
from gpupool.ports import AwsPorts
from gpupool.settings import Settings
from tests.infra.synthesised import Synthesised

ROOT = Path(__file__).resolve().parents[2]
ROOMS = [
    "advance_job",
    "close_job",
    "customer_api",
    "deliver_webhook",
    "node_api",
    "on_dead_letter",
    "on_event_written",
    "on_job_written",
    "on_unit_written",
    "plan_job",
    "reconcile",
    "sweep_webhooks",
    "tend_job",
]
MADE_BY = {
    "customer_api": bootstrap.build_customer_core,
    "node_api": bootstrap.build_node_core,
    "plan_job": bootstrap.build_workflow,
    "tend_job": bootstrap.build_workflow,
    "advance_job": bootstrap.build_workflow,
    "close_job": bootstrap.build_workflow,
    "on_job_written": bootstrap.build_outbox,
    "on_event_written": bootstrap.build_fan_out,
    "deliver_webhook": bootstrap.build_deliverer,
    "sweep_webhooks": bootstrap.build_sweep,
    "reconcile": bootstrap.build_recovery,
    "on_unit_written": bootstrap.build_outbox,
    "on_dead_letter": bootstrap.build_dead_letters,
}
# Read by Powertools or by Lambda, not by the core's settings.
RUNTIME_VARIABLES = {"LOG_LEVEL", "POWERTOOLS_SERVICE_NAME"}


def test_deployed_rooms_are_the_folders_with_a_handler(prod: Synthesised) -> None:
    folders = sorted(path.parent.name for path in (ROOT / "functions").glob("*/handler.py"))
    assert sorted(prod.functions) == folders == ROOMS


@pytest.mark.parametrize("room", ROOMS)
def test_every_function_is_ours(prod: Synthesised, room: str) -> None:
    function = prod.functions[room]
    assert function["Runtime"] == "python3.11"
    assert function["Architectures"] == ["arm64"]
    assert function["TracingConfig"] == {"Mode": "Active"}
    assert function["LoggingConfig"]["LogFormat"] == "JSON"
    assert function["FunctionName"] == f"gpupool-{room.replace('_', '-')}"
    assert 128 < function["MemorySize"] <= 1769
    assert 3 < function["Timeout"] <= 60
    assert len(function["Layers"]) == 2


@pytest.mark.parametrize("room", ROOMS)
def test_every_function_has_a_log_group_that_forgets(prod: Synthesised, room: str) -> None:
    group = prod.text(prod.functions[room]["LoggingConfig"]["LogGroup"])
    named = {item["LogGroupName"]: item for item in prod.properties("AWS::Logs::LogGroup").values()}
    assert group == f"LogGroup:/aws/lambda/gpupool-{room.replace('_', '-')}"
    assert named[group.removeprefix("LogGroup:")]["RetentionInDays"] == 90


def test_every_log_group_forgets(prod: Synthesised) -> None:
    assert all(group["RetentionInDays"] == 90 for group in prod.properties("AWS::Logs::LogGroup").values())


@pytest.mark.parametrize("room", ROOMS)
def test_the_environment_holds_only_settings_and_is_enough(
    local: Synthesised, room: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")
    environment = local.environment(room)
    fields = {name.upper() for name in Settings.model_fields}
    assert set(environment) - fields == RUNTIME_VARIABLES
    MADE_BY[room](AwsPorts(Settings.from_environment(environment)))


def test_the_laptop_leases_are_short(local: Synthesised, prod: Synthesised) -> None:
    assert _times(local) == ("8", "2")
    assert _times(prod) == ("105", "45")


def test_apis_answer_before_the_gateway_gives_up(prod: Synthesised) -> None:
    assert all(prod.functions[room]["Timeout"] < 30 for room in ("customer_api", "node_api"))


def test_what_is_called_asynchronously_keeps_its_failures(prod: Synthesised) -> None:
    (config,) = prod.properties("AWS::Lambda::EventInvokeConfig").values()
    assert prod.text(config["FunctionName"]) == "Function:gpupool-close-job"
    assert prod.text(config["DestinationConfig"]["OnFailure"]["Destination"]) == "Queue:gpupool-undelivered"


def _times(stage: Synthesised) -> tuple[str, str]:
    environment = stage.environment("node_api")
    return environment["LEASE_SECONDS"], environment["HEARTBEAT_SECONDS"]
