"""The two layers of every function: the core, which changes daily, and the third-party packages, which rarely do."""

from aws_cdk import Annotations, RemovalPolicy
from aws_cdk import aws_lambda as lambda_
from constructs import Construct

from infra.constructs.bundling import core_layer_code, dependencies_code, placeholder_code
from infra.settings import StageSettings

RUNTIME = lambda_.Runtime.PYTHON_3_11
ARCHITECTURE = lambda_.Architecture.ARM_64


class Layers(Construct):
    """`core` and `dependencies`, in the order in which a function lists them."""

    def __init__(self, scope: Construct, construct_id: str, *, settings: StageSettings) -> None:
        super().__init__(scope, construct_id)
        core = core_layer_code(compiled=settings.bundle_deps)
        dependencies = dependencies_code() if settings.bundle_deps else placeholder_code()
        self.core = self._layer("Core", code=core, description="The gpupool package")
        if settings.keeps_data and not settings.bundle_deps:
            Annotations.of(self).add_warning_v2(
                "gpupool:no-dependencies", "The third-party layer is empty: do not deploy this."
            )
        self.dependencies = self._layer("Dependencies", code=dependencies, description="Third-party packages, locked")

    @property
    def all(self) -> list[lambda_.ILayerVersion]:
        return [self.core, self.dependencies]

    def _layer(self, construct_id: str, *, code: lambda_.Code, description: str) -> lambda_.LayerVersion:
        return lambda_.LayerVersion(
            self,
            construct_id,
            code=code,
            description=description,
            compatible_runtimes=[RUNTIME],
            compatible_architectures=[ARCHITECTURE],
            removal_policy=RemovalPolicy.DESTROY,
        )
