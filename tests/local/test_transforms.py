"""What the emulator's template differs in, on small templates and on the real one."""

from local.transforms import API_ID, for_emulator

_DENY = {
    "Effect": "Deny",
    "Action": "s3:*",
    "Resource": "*",
    "Principal": "*",
    "Condition": {"Bool": {"aws:SecureTransport": "false"}},
}
_ALLOW = {"Effect": "Allow", "Action": "s3:GetObject", "Resource": "*", "Principal": "*"}


def _policy(*statements: object, kind: str = "AWS::S3::BucketPolicy") -> dict[str, object]:
    return {"Type": kind, "Properties": {"PolicyDocument": {"Statement": list(statements)}}}


def test_only_the_denial_of_plain_http_is_left_out() -> None:
    other = {**_DENY, "Condition": {"Bool": {"aws:MultiFactorAuthPresent": "false"}}}

    local = for_emulator({"Resources": {"Policy": _policy(_DENY, _ALLOW, other)}})

    assert local["Resources"]["Policy"]["Properties"]["PolicyDocument"]["Statement"] == [_ALLOW, other]


def test_policy_that_only_denied_plain_http_goes_with_the_dependencies_on_it() -> None:
    template = {
        "Resources": {
            "Policy": _policy(_DENY),
            "Alone": {"Type": "AWS::SNS::Topic", "DependsOn": "Policy"},
            "Among": {"Type": "AWS::SNS::Topic", "DependsOn": ["Policy", "Alone"]},
        }
    }

    resources = for_emulator(template)["Resources"]

    assert set(resources) == {"Alone", "Among"}
    assert "DependsOn" not in resources["Alone"]
    assert resources["Among"]["DependsOn"] == ["Alone"]


def test_only_task_answers_are_widened() -> None:
    narrow = {"Effect": "Allow", "Action": ["states:SendTaskSuccess", "states:StartExecution"], "Resource": "arn:machine"}

    local = for_emulator({"Resources": {"Policy": _policy(narrow, kind="AWS::IAM::Policy")}})

    statements = local["Resources"]["Policy"]["Properties"]["PolicyDocument"]["Statement"]
    assert statements == [narrow, {"Effect": "Allow", "Action": ["states:SendTaskSuccess"], "Resource": "*"}]


def test_api_is_pinned_and_the_given_template_stays_as_it_is() -> None:
    template = {"Resources": {"Api": {"Type": "AWS::ApiGatewayV2::Api", "Properties": {}}}}

    local = for_emulator(template)

    assert local["Resources"]["Api"]["Properties"]["Tags"] == {"ms-custom-id": API_ID}
    assert template["Resources"]["Api"]["Properties"] == {}


def test_only_alarms_over_metric_math_are_left_out() -> None:
    math = {"Type": "AWS::CloudWatch::Alarm", "Properties": {"Metrics": [{"Expression": "a / b"}]}}
    plain = {"Type": "AWS::CloudWatch::Alarm", "Properties": {"MetricName": "Errors"}}
    table = {"Type": "AWS::DynamoDB::Table", "Properties": {"Metrics": []}}

    resources = for_emulator({"Resources": {"Math": math, "Plain": plain, "Table": table}})["Resources"]

    assert set(resources) == {"Plain", "Table"}
