"""Alarms on what should never happen: one per kind that the core finds, over the metric that it counts."""

import json

import pytest

from gpupool.observability import count_found
from gpupool.recovery.model import Finding
from tests.infra.synthesised import Properties, Synthesised


def _alarms(stage: Synthesised) -> dict[str, Properties]:
    return {item["AlarmName"]: item for item in stage.properties("AWS::CloudWatch::Alarm").values()}


@pytest.mark.parametrize("finding", Finding)
def test_every_finding_has_an_alarm_over_the_metric_that_counts_it(
    prod: Synthesised, finding: Finding, capsys: pytest.CaptureFixture[str]
) -> None:
    count_found({str(finding): 2}, stage="prod")
    counted = json.loads(capsys.readouterr().out)
    alarm = _alarms(prod)[f"gpupool-found-{finding.replace('_', '-')}"]

    (told,) = counted["_aws"]["CloudWatchMetrics"]
    assert (alarm["Namespace"], alarm["MetricName"]) == (told["Namespace"], told["Metrics"][0]["Name"])
    assert {each["Name"]: each["Value"] for each in alarm["Dimensions"]} == {
        name: counted[name] for name in told["Dimensions"][0]
    }
    assert (alarm["Statistic"], alarm["Threshold"], alarm["ComparisonOperator"]) == ("Sum", 0, "GreaterThanThreshold")
    assert alarm["TreatMissingData"] == "notBreaching"
    assert alarm["AlarmActions"]


def test_no_alarm_waits_for_what_nobody_finds(prod: Synthesised) -> None:
    names = {name.removeprefix("gpupool-found-").replace("-", "_") for name in _alarms(prod) if "-found-" in name}
    assert names == set(Finding)


def test_nothing_found_counts_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    count_found({}, stage="prod")
    assert capsys.readouterr().out == ""
