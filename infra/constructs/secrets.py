"""The key that signs page cursors: generated at deployment, read at cold start, never written down elsewhere."""

from typing import cast

from aws_cdk import RemovalPolicy
from aws_cdk import aws_secretsmanager as secretsmanager
from constructs import Construct

from infra.constructs.function import RoomFunction
from infra.suppressions import Because, acknowledge


class SigningSecret(Construct):
    """64 random characters."""

    def __init__(self, scope: Construct, construct_id: str) -> None:
        super().__init__(scope, construct_id)
        self.secret = secretsmanager.Secret(
            self,
            "Secret",
            description="Signs the cursors of paged lists",
            generate_secret_string=secretsmanager.SecretStringGenerator(password_length=64, exclude_punctuation=True),
            removal_policy=RemovalPolicy.DESTROY,
        )
        # `Fn::GetAtt Id` is the ARN like `Ref`, but also where an emulator lets `Ref` be the name, which no grant would match.
        self.arn = cast(secretsmanager.CfnSecret, self.secret.node.default_child).attr_id
        acknowledge(self.secret, "AwsSolutions-SMG4", because=Because.CURSORS_ARE_SHORT_LIVED)

    @property
    def variables(self) -> dict[str, str]:
        return {"SIGNING_SECRET_ARN": self.arn}

    def let_read(self, *functions: RoomFunction) -> None:
        for function in functions:
            function.know(self.variables)
            function.allow(["secretsmanager:GetSecretValue"], on=[self.arn])
