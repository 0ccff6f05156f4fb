"""Other people's rules about good templates, and every exception from them."""

import json
import re
import subprocess
import sys
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path

from infra.suppressions import Because
from tests.infra.synthesised import Synthesised

ROOMS = {
    *(
        "CustomerApi",
        "NodeApi",
        "PlanJob",
        "TendJob",
        "AdvanceJob",
        "CloseJob",
        "OnJobWritten",
        "OnUnitWritten",
        "OnDeadLetter",
    ),
    *("OnEventWritten", "DeliverWebhook", "SweepWebhooks", "Reconcile"),
}
EXECUTIONS = "arn:<AWS::Partition>:states:<AWS::Region>:<AWS::AccountId>:execution:gpupool-training-job:*"
EXCEPTIONS = {
    "AwsSolutions-L1": ROOMS,
    "AwsSolutions-IAM5[Resource::*]": ROOMS | {"Training"},
    "AwsSolutions-IAM5[Resource::<Bucket.Arn>/customers/*]": {"CustomerApi", "NodeApi"},
    "AwsSolutions-IAM5[Resource::<Bucket.Arn>/jobs/*]": {"CustomerApi", "NodeApi"},
    "AwsSolutions-IAM5[Resource::<Bucket.Arn>/exports/*]": {"CustomerApi"},
    "AwsSolutions-IAM5[Resource::<Bucket.Arn>/logs/*]": {"CustomerApi", "NodeApi"},
    f"AwsSolutions-IAM5[Resource::{EXECUTIONS}]": {"Reconcile"},
    "AwsSolutions-APIG4": {"Door"},
    "AwsSolutions-SMG4": {"Signing"},
    "AwsSolutions-SQS3": {"Sources"},
}


def test_the_security_rules_have_no_open_finding(prod: Synthesised) -> None:
    report = json.loads((prod.folder / "validation-report.json").read_text(encoding="utf-8"))
    assert [plugin for plugin in report["pluginReports"] if plugin["violations"]] == []


def test_every_exception_is_known_and_has_its_reason(prod: Synthesised) -> None:
    found: dict[str, set[str]] = defaultdict(set)
    for path, rule, reason in _acknowledged(prod):
        assert reason in set(Because)
        found[rule].add(path)
    assert found == EXCEPTIONS


def test_the_template_is_valid(prod: Synthesised) -> None:
    # W3005: CDK writes dependencies that references already imply.
    linter = Path(sys.executable).with_name("cfn-lint")
    command = [str(linter), "-i", "W3005", "-t", str(prod.template_file)]
    result = subprocess.run(command, capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stdout + result.stderr


def _acknowledged(stage: Synthesised) -> Iterator[tuple[str, str, str]]:
    """Part of the stack, rule, reason; as the assembly records them."""
    for path, entries in stage.metadata.items():
        for entry in entries:
            if entry["type"] == "aws:cdk:acknowledged-rules":
                part = path.removeprefix("/GpuPool/").removeprefix("Rooms/").split("/")[0]
                for rule, reason in entry["data"].items():
                    yield part, re.sub(r"<\w*Bucket\w+\.Arn>", "<Bucket.Arn>", rule.removeprefix("Annotation::")), reason
