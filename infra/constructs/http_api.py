"""The front door: routes to functions, cross-origin rules, access log and throttling."""

import json
from typing import cast

from aws_cdk import Duration, RemovalPolicy
from aws_cdk import aws_apigatewayv2 as apigw
from aws_cdk import aws_logs as logs
from aws_cdk.aws_apigatewayv2_integrations import HttpLambdaIntegration
from constructs import Construct

from infra.constructs.function import RoomFunction, retention
from infra.settings import StageSettings
from infra.suppressions import Because, acknowledge

_ACCESS_LOG = {
    "request_id": "$context.requestId",
    "time_ms": "$context.requestTimeEpoch",
    "source_ip": "$context.identity.sourceIp",
    "route": "$context.routeKey",
    "path": "$context.path",
    "status": "$context.status",
    "latency_ms": "$context.responseLatency",
    "integration_latency_ms": "$context.integrationLatency",
    "integration_error": "$context.integrationErrorMessage",
    "bytes": "$context.responseLength",
}
_RESPONSE_HEADERS = [
    *("retry-after", "x-ratelimit-limit", "x-ratelimit-remaining", "x-ratelimit-reset", "x-request-id"),
    *("etag", "idempotent-replayed", "content-disposition"),
]
_REQUEST_HEADERS = ["authorization", "content-type", "idempotency-key", "if-none-match", "x-api-key"]


class FrontDoor(Construct):
    """The HTTP API. `routes` maps a path to the function that answers every method on it; `otherwise` answers the rest, so
    that an unknown path gets our envelope and not the gateway's."""

    def __init__(
        self,
        scope: Construct,
        construct_id: str,
        *,
        settings: StageSettings,
        routes: dict[str, RoomFunction],
        otherwise: RoomFunction,
    ) -> None:
        super().__init__(scope, construct_id)
        self.api = apigw.HttpApi(
            self,
            "Api",
            api_name=settings.name("gpupool"),
            description="The customers' and the nodes' door",
            create_default_stage=False,
            default_integration=HttpLambdaIntegration("Otherwise", otherwise.function),
            cors_preflight=_cors(settings.portal_origin),
        )
        for path, function in routes.items():
            self.api.add_routes(
                path=path,
                methods=[apigw.HttpMethod.ANY],
                integration=HttpLambdaIntegration(f"To{function.node.id}", function.function),
            )
        self.stage = self._stage(settings)
        acknowledge(self.api, "AwsSolutions-APIG4", because=Because.CALLEE_AUTHENTICATES)

    @property
    def url(self) -> str:
        return self.api.api_endpoint

    def _stage(self, settings: StageSettings) -> apigw.HttpStage:
        access_log = logs.LogGroup(
            self,
            "AccessLog",
            log_group_name=f"/gpupool/{settings.name('access')}",
            retention=retention(settings),
            removal_policy=RemovalPolicy.DESTROY,
        )
        stage = self.api.add_stage(
            "Stage",
            stage_name="$default",
            auto_deploy=True,
            detailed_metrics_enabled=True,
            throttle=apigw.ThrottleSettings(rate_limit=settings.throttle_rate_per_second, burst_limit=settings.throttle_burst),
        )
        resource = cast(apigw.CfnStage, stage.node.default_child)
        resource.access_log_settings = apigw.CfnStage.AccessLogSettingsProperty(
            destination_arn=access_log.log_group_arn, format=json.dumps(_ACCESS_LOG)
        )
        return stage


def _cors(origin: str) -> apigw.CorsPreflightOptions:
    """One origin with credentials: the portal signs in with a cookie."""
    methods = apigw.CorsHttpMethod
    return apigw.CorsPreflightOptions(
        allow_origins=[origin],
        allow_methods=[methods.GET, methods.POST, methods.PUT, methods.PATCH, methods.DELETE],
        allow_headers=_REQUEST_HEADERS,
        expose_headers=_RESPONSE_HEADERS,
        allow_credentials=True,
        max_age=Duration.hours(1),
    )
