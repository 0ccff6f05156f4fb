"""The one bucket for every byte of data, and the bucket that records who asked for them."""

from typing import cast

from aws_cdk import CfnElement, Duration, RemovalPolicy, Stack
from aws_cdk import aws_s3 as s3
from constructs import Construct

from infra.constructs.function import RoomFunction
from infra.settings import StageSettings
from infra.suppressions import Because, acknowledge

_BUCKET = "BUCKET"


class ArtifactBucket(Construct):
    """Private, encrypted, TLS only, versioned; browsers reach it with presigned URLs from the portal's origin."""

    def __init__(self, scope: Construct, construct_id: str, *, settings: StageSettings) -> None:
        super().__init__(scope, construct_id)
        removal = RemovalPolicy.RETAIN if settings.keeps_data else RemovalPolicy.DESTROY
        access_logs = s3.Bucket(
            self,
            "AccessLogs",
            block_public_access=s3.BlockPublicAccess.BLOCK_ALL,
            encryption=s3.BucketEncryption.S3_MANAGED,
            enforce_ssl=True,
            object_ownership=s3.ObjectOwnership.BUCKET_OWNER_ENFORCED,
            lifecycle_rules=[s3.LifecycleRule(id="expire-access-logs", expiration=Duration.days(90))],
            removal_policy=removal,
        )
        self.bucket = s3.Bucket(
            self,
            "Bucket",
            block_public_access=s3.BlockPublicAccess.BLOCK_ALL,
            encryption=s3.BucketEncryption.S3_MANAGED,
            enforce_ssl=True,
            minimum_tls_version=1.2,
            versioned=True,
            object_ownership=s3.ObjectOwnership.BUCKET_OWNER_ENFORCED,
            server_access_logs_bucket=access_logs,
            server_access_logs_prefix="artifacts/",
            cors=[_portal_cors(settings.portal_origin)],
            lifecycle_rules=_lifecycle(),
            removal_policy=removal,
        )

    @property
    def variables(self) -> dict[str, str]:
        return {_BUCKET: self.bucket.bucket_name}

    def let_read(self, function: RoomFunction, *prefixes: str) -> None:
        """Reading objects. Listing comes with it because S3 answers 403 instead of 404 for a missing object without it."""
        self._let(function, ["s3:GetObject"], prefixes)
        function.allow(["s3:ListBucket"], on=[self.bucket.bucket_arn])

    def let_put(self, function: RoomFunction, *prefixes: str) -> None:
        self._let(function, ["s3:PutObject"], prefixes)

    def let_put_in_parts(self, function: RoomFunction, *prefixes: str) -> None:
        """What uploading in parts needs besides `let_put`: seeing what has arrived, and throwing it away."""
        self._let(function, ["s3:ListMultipartUploadParts", "s3:AbortMultipartUpload"], prefixes)

    def let_delete(self, function: RoomFunction, *prefixes: str) -> None:
        self._let(function, ["s3:DeleteObject"], prefixes)

    def _let(self, function: RoomFunction, actions: list[str], prefixes: tuple[str, ...]) -> None:
        function.know(self.variables)
        function.allow(actions, on=[f"{self.bucket.bucket_arn}/{prefix}/*" for prefix in prefixes])
        bucket_id = Stack.of(self).get_logical_id(cast(CfnElement, self.bucket.node.default_child))
        findings = [f"AwsSolutions-IAM5[Resource::<{bucket_id}.Arn>/{prefix}/*]" for prefix in prefixes]
        acknowledge(function, *findings, because=Because.KEYS_BELOW_A_PREFIX)


def _portal_cors(origin: str) -> s3.CorsRule:
    """A browser sends the headers that the URL signs and reads back what proves the upload."""
    return s3.CorsRule(
        allowed_origins=[origin],
        allowed_methods=[s3.HttpMethods.PUT, s3.HttpMethods.GET],
        allowed_headers=["content-type", "content-length", "x-amz-checksum-sha256", "range"],
        exposed_headers=["ETag", "x-amz-checksum-sha256", "Content-Range"],
        max_age=3600,
    )


def _lifecycle() -> list[s3.LifecycleRule]:
    return [
        s3.LifecycleRule(id="abort-unfinished-uploads", abort_incomplete_multipart_upload_after=Duration.days(7)),
        s3.LifecycleRule(id="expire-log-chunks", prefix="logs/", expiration=Duration.days(30)),
        s3.LifecycleRule(
            id="expire-exports",
            prefix="exports/",
            expiration=Duration.days(1),
            noncurrent_version_expiration=Duration.days(1),
        ),
        s3.LifecycleRule(id="expire-replaced-versions", noncurrent_version_expiration=Duration.days(30)),
    ]
