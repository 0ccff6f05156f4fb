"""Synthesises the deployment: `python -m infra.app`, which is also what the CDK CLI runs.

It needs no account, and no network unless the third-party layer has to be built. Without the CLI, context comes from
`CDK_CONTEXT_JSON` and the assembly goes to `CDK_OUTDIR` (a temporary folder when unset).
"""

from collections.abc import Mapping

from aws_cdk import App, Tags, Validations
from cdk_nag import AwsSolutionsChecks

from infra.settings import StageSettings, read_settings
from infra.stack import GpuPoolStack

STACK_NAME = "GpuPool"
# The behaviours of newer CDK versions that this app relies on; said here so that a run without the CLI gives the same template.
_FEATURES: Mapping[str, bool] = {
    "@aws-cdk/aws-iam:minimizePolicies": True,
    "@aws-cdk/core:enablePartitionLiterals": True,
    "@aws-cdk/aws-s3:createDefaultLoggingPolicy": True,
    "@aws-cdk/aws-s3:serverAccessLogsUseBucketPolicy": True,
    "@aws-cdk/aws-lambda:recognizeVersionProps": True,
    "@aws-cdk/aws-lambda:recognizeLayerVersion": True,
    "@aws-cdk/core:checkSecretUsage": True,
}


def build(*, context: Mapping[str, object] | None = None, outdir: str | None = None) -> tuple[App, GpuPoolStack]:
    """The app and its one stack, checked by the security rules when it is synthesised."""
    app = App(context={**_FEATURES, **(context or {})}, outdir=outdir, analytics_reporting=False)
    settings = read_settings(app.node.try_get_context)
    stack = GpuPoolStack(app, _stack_name(settings), settings=settings)
    Tags.of(app).add("application", "gpupool")
    Tags.of(app).add("stage", settings.stage)
    Validations.of(app).add_plugins(AwsSolutionsChecks(app))
    return app, stack


def _stack_name(settings: StageSettings) -> str:
    return STACK_NAME if not settings.name_prefix else f"{STACK_NAME}-{settings.stage}"


if __name__ == "__main__":
    build()[0].synth()
