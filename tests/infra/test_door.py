"""The HTTP API and what is watched."""

import json

from aws_cdk.assertions import Match

from gpupool.settings import Settings
from tests.infra.synthesised import Synthesised


def test_routes_lead_to_their_function(prod: Synthesised) -> None:
    integrations = prod.properties("AWS::ApiGatewayV2::Integration")
    found = {}
    for route in prod.properties("AWS::ApiGatewayV2::Route").values():
        target = prod.text(route["Target"]).removeprefix("integrations/Integration:")
        found[route["RouteKey"]] = prod.text(integrations[target]["IntegrationUri"])
        assert integrations[target]["PayloadFormatVersion"] == "2.0"
    assert found == {
        "ANY /api/v1/customer/{proxy+}": "Function:gpupool-customer-api",
        "ANY /api/v1/node/{proxy+}": "Function:gpupool-node-api",
        "$default": "Function:gpupool-customer-api",
    }


def test_only_the_portal_may_call_from_a_browser(prod: Synthesised) -> None:
    (api,) = prod.properties("AWS::ApiGatewayV2::Api").values()
    cors = api["CorsConfiguration"]
    assert cors["AllowOrigins"] == ["https://portal.gpu-agent.example"]
    assert cors["AllowCredentials"] is True
    assert prod.environment("customer_api")["PORTAL_ORIGIN"] == cors["AllowOrigins"][0]
    assert {"authorization", "idempotency-key"} <= set(cors["AllowHeaders"])
    assert "retry-after" in cors["ExposeHeaders"]


def test_requests_are_limited_and_logged_without_secrets(prod: Synthesised) -> None:
    (stage,) = prod.properties("AWS::ApiGatewayV2::Stage").values()
    assert stage["DefaultRouteSettings"]["ThrottlingRateLimit"] == 200
    line = json.loads(stage["AccessLogSettings"]["Format"])
    assert {"request_id", "status", "latency_ms"} <= set(line)
    assert not any("header" in field.lower() or "query" in field.lower() for field in line.values())


def test_every_alarm_reports_to_the_topic(prod: Synthesised) -> None:
    (topic,) = prod.properties("AWS::SNS::Topic")
    alarms = prod.properties("AWS::CloudWatch::Alarm").values()
    assert all(alarm["AlarmActions"] == [{"Ref": topic}] for alarm in alarms)
    watched = {alarm["AlarmName"] for alarm in alarms}
    assert {f"gpupool-{room}-errors" for room in prod.functions} <= watched
    assert {f"{queue.removesuffix('-dlq')}-dead-letters" for queue in prod.queues if queue.endswith("-dlq")} <= watched
    assert {"gpupool-undelivered", "gpupool-executions-failed", "gpupool-executions-timed-out"} <= watched
    assert {"gpupool-on_job_written-behind", "gpupool-on_unit_written-behind"} <= watched


def test_alarms_may_publish_although_the_topic_has_a_policy(prod: Synthesised) -> None:
    publish = {
        "Effect": "Allow",
        "Action": "sns:Publish",
        "Principal": {"Service": "cloudwatch.amazonaws.com"},
        "Condition": {"StringEquals": {"aws:SourceAccount": {"Ref": "AWS::AccountId"}}},
    }
    statements = {"Statement": Match.array_with([Match.object_like(publish)])}
    prod.template.has_resource_properties("AWS::SNS::TopicPolicy", {"PolicyDocument": statements})


def test_somebody_is_told_only_where_an_address_is_given(prod: Synthesised, local: Synthesised) -> None:
    prod.template.has_resource_properties("AWS::SNS::Subscription", {"Protocol": "email", "Endpoint": "ops@example.org"})
    local.template.resource_count_is("AWS::SNS::Subscription", 0)
    prod.template.resource_count_is("AWS::CloudWatch::Dashboard", 1)


def test_outputs_let_an_operator_act_like_a_function(local: Synthesised) -> None:
    outputs = local.body["Outputs"]
    assert {"ApiUrl", "BucketName", "StateMachineArn", "Settings"} <= set(outputs)
    variables = json.loads(local.text(outputs["Settings"]["Value"]))
    assert {name.upper() for name in Settings.model_fields} <= set(variables)
    settings = Settings.from_environment(variables)
    assert settings.queue_urls["public-cpu"] == "Queue:gpupool-public-cpu"
    assert (settings.stage, settings.lease_seconds, settings.heartbeat_seconds) == ("local", 8, 2)


def test_the_template_names_no_account_and_no_region(prod: Synthesised) -> None:
    manifest = json.loads((prod.folder / "manifest.json").read_text(encoding="utf-8"))
    assert manifest["artifacts"]["GpuPool"]["environment"] == "aws://unknown-account/unknown-region"
