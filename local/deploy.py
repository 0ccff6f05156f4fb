"""Putting a cloud assembly on the emulator: assets to S3, the template through CloudFormation, then the fix-ups."""

import io
import json
import os
import py_compile
import tempfile
import threading
import time
import zipfile
from collections.abc import Callable
from dataclasses import dataclass
from importlib.util import cache_from_source
from pathlib import Path
from typing import Any

import boto3
import botocore.session
from botocore.config import Config
from botocore.exceptions import ClientError

from local.process import REGION, RootKeys
from local.transforms import for_emulator

STACK_NAME = "GpuPool"
_BOOTSTRAP_PARAMETER = "/cdk-bootstrap/hnb659fds/version"
_BOOTSTRAP_VERSION = "30"
_TEMPLATE_BUCKET = "gpupool-local-templates"
_TEMPLATE_KEY = "GpuPool.template.json"
_DEPLOY_SECONDS = 120.0
_POLL_SECONDS = 0.1
_LONGEST_REASON = 2000
_EPOCH = (1980, 1, 1, 0, 0, 0)
_CAPABILITIES = ("CAPABILITY_IAM", "CAPABILITY_NAMED_IAM", "CAPABILITY_AUTO_EXPAND")


class DeployError(Exception):
    """CloudFormation refused the template or a resource failed; the message lists what failed and why."""


@dataclass(frozen=True)
class Account:
    """Credentials of one principal on one emulator."""

    endpoint: str
    access_key_id: str
    secret_access_key: str

    @classmethod
    def root(cls, *, endpoint: str, keys: RootKeys) -> "Account":
        return cls(endpoint=endpoint, access_key_id=keys.access_key_id, secret_access_key=keys.secret_access_key)

    def client(self, service: str) -> Any:
        """A client of this principal. Untyped: the typed factories want the service's name as a literal."""
        return boto3.session.Session(botocore_session=_session()).client(
            service,  # type: ignore[call-overload]
            endpoint_url=self.endpoint,
            region_name=REGION,
            aws_access_key_id=self.access_key_id,
            aws_secret_access_key=self.secret_access_key,
            config=Config(signature_version="s3v4" if service == "s3" else None, retries={"total_max_attempts": 2}),
        )


def _session() -> botocore.session.Session:
    """A session that the owner's AWS profile and configuration files have no part in."""
    nothing = {"profile": None, "config_file": os.devnull, "credentials_file": os.devnull}
    return botocore.session.Session(session_vars={name: (None, None, value, None) for name, value in nothing.items()})


def deploy(*, assembly: Path, account: Account, progress: Callable[[str], None]) -> dict[str, str]:
    """Create or update the stack from the assembly and return its outputs. Data of an existing stack stays."""
    template_file = next(assembly.glob("*.template.json"))
    assets_file = next(assembly.glob("*.assets.json"))
    _bootstrap(account)
    uploaded = upload_assets(assets_file, account=account)
    progress(f"assets: {uploaded} uploaded")
    template = for_emulator(json.loads(template_file.read_text()))
    started = time.monotonic()
    action = apply_template(_published(template, account=account), account=account)
    progress(f"stack {action} in {time.monotonic() - started:.1f} s")
    apply_ttl(account=account, template=template)
    return outputs(account=account)


def _bootstrap(account: Account) -> None:
    """The parameter by which a template sees that the account was bootstrapped for CDK; the buckets come as needed."""
    account.client("ssm").put_parameter(Name=_BOOTSTRAP_PARAMETER, Value=_BOOTSTRAP_VERSION, Type="String", Overwrite=True)


def upload_assets(assets_file: Path, *, account: Account) -> int:
    """Put every file asset of the manifest where the template expects it; known keys are skipped, they name content."""
    s3 = account.client("s3")
    account_id = account.client("sts").get_caller_identity()["Account"]
    files = json.loads(assets_file.read_text())["files"].values()
    uploaded = 0
    for asset in files:
        source = assets_file.parent / asset["source"]["path"]
        for target in asset["destinations"].values() if source.is_dir() else ():
            bucket = target["bucketName"].replace("${AWS::AccountId}", account_id).replace("${AWS::Region}", REGION)
            _ensure_bucket(s3, bucket)
            if not _has(s3, bucket=bucket, key=target["objectKey"]):
                s3.put_object(Bucket=bucket, Key=target["objectKey"], Body=zipped(source))
                uploaded += 1
    return uploaded


def _ensure_bucket(s3: Any, bucket: str) -> None:
    try:
        s3.head_bucket(Bucket=bucket)
    except ClientError:
        s3.create_bucket(Bucket=bucket)


def _has(s3: Any, *, bucket: str, key: str) -> bool:
    try:
        s3.head_object(Bucket=bucket, Key=key)
    except ClientError:
        return False
    return True


def zipped(folder: Path) -> bytes:
    """A zip of the folder with byte-code beside every module, so that no new environment compiles the sources again."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive, tempfile.TemporaryDirectory() as scratch:
        for path in sorted(folder.rglob("*")):
            if not path.is_file() or "__pycache__" in path.parts:
                continue
            name = path.relative_to(folder).as_posix()
            _add(archive, name=name, data=path.read_bytes())
            if path.suffix == ".py":
                code = _bytecode(path, name=name, scratch=Path(scratch))
                if code is not None:
                    _add(archive, name=cache_from_source(name), data=code)
    return buffer.getvalue()


def _add(archive: zipfile.ZipFile, *, name: str, data: bytes) -> None:
    archive.writestr(zipfile.ZipInfo(name, date_time=_EPOCH), data, compress_type=zipfile.ZIP_DEFLATED)


def _bytecode(path: Path, *, name: str, scratch: Path) -> bytes | None:
    """The module compiled, or None for one that does not compile: the function that imports it says so, as on AWS."""
    target = scratch / "module.pyc"
    unchecked = py_compile.PycInvalidationMode.UNCHECKED_HASH
    try:
        py_compile.compile(str(path), cfile=str(target), dfile=name, doraise=True, invalidation_mode=unchecked)
    except py_compile.PyCompileError:
        return None
    return target.read_bytes()


def _published(template: dict[str, Any], *, account: Account) -> str:
    """URL of the template in S3: CloudFormation takes at most 51,200 bytes in the request itself."""
    s3 = account.client("s3")
    _ensure_bucket(s3, _TEMPLATE_BUCKET)
    s3.put_object(Bucket=_TEMPLATE_BUCKET, Key=_TEMPLATE_KEY, Body=json.dumps(template).encode())
    return f"{account.endpoint}/{_TEMPLATE_BUCKET}/{_TEMPLATE_KEY}"


def apply_template(template_url: str, *, account: Account) -> str:
    """Create or update the stack and wait for the end; answers `created`, `updated` or `unchanged`.

    A stack whose creation failed is removed first. Raises DeployError with the failed resources and their reasons.
    """
    cloudformation = account.client("cloudformation")
    known = _status(cloudformation)
    if known is not None and (known.endswith("FAILED") or known.startswith("ROLLBACK")):
        cloudformation.delete_stack(StackName=STACK_NAME)
        known = None
    request = {"StackName": STACK_NAME, "TemplateURL": template_url, "Capabilities": list(_CAPABILITIES)}
    try:
        if known is None:
            cloudformation.create_stack(**request)
        else:
            cloudformation.update_stack(**request)
    except ClientError as error:
        if "No updates are to be performed" in str(error):
            return "unchanged"
        raise DeployError(str(error)[:_LONGEST_REASON]) from error
    _wait(cloudformation)
    return "created" if known is None else "updated"


def _status(cloudformation: Any) -> str | None:
    try:
        return str(cloudformation.describe_stacks(StackName=STACK_NAME)["Stacks"][0]["StackStatus"])
    except ClientError:
        return None


def _wait(cloudformation: Any) -> None:
    pause = threading.Event()
    deadline = time.monotonic() + _DEPLOY_SECONDS
    while (status := _status(cloudformation) or "").endswith("IN_PROGRESS"):
        if time.monotonic() > deadline:
            raise DeployError(f"the stack is still {status} after {_DEPLOY_SECONDS:.0f} s")
        pause.wait(_POLL_SECONDS)
    if status not in {"CREATE_COMPLETE", "UPDATE_COMPLETE"}:
        raise DeployError(f"the stack ended as {status}:\n{_failures(cloudformation)}")


def _failures(cloudformation: Any) -> str:
    events = cloudformation.describe_stack_events(StackName=STACK_NAME)["StackEvents"]
    failed = [event for event in events if event["ResourceStatus"].endswith("FAILED")]
    return "\n".join(f"  {event['LogicalResourceId']}: {event.get('ResourceStatusReason', '')}" for event in failed)


def apply_ttl(*, account: Account, template: dict[str, Any]) -> None:
    """Switch on the TTL that the template names, which the emulator's CloudFormation drops."""
    dynamodb = account.client("dynamodb")
    for resource in template["Resources"].values():
        properties = resource.get("Properties", {})
        specification = properties.get("TimeToLiveSpecification")
        if resource["Type"] not in {"AWS::DynamoDB::Table", "AWS::DynamoDB::GlobalTable"} or not specification:
            continue
        table = properties["TableName"]
        if dynamodb.describe_time_to_live(TableName=table)["TimeToLiveDescription"]["TimeToLiveStatus"] != "ENABLED":
            dynamodb.update_time_to_live(TableName=table, TimeToLiveSpecification=specification)


def outputs(*, account: Account) -> dict[str, str]:
    """The stack's outputs by their keys."""
    stack = account.client("cloudformation").describe_stacks(StackName=STACK_NAME)["Stacks"][0]
    return {output["OutputKey"]: output["OutputValue"] for output in stack.get("Outputs", [])}
