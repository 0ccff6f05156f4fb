"""The bucket on S3."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from gpupool.dynamo import error_code
from gpupool.errors import Unavailable
from gpupool.objects.model import ObjectHead, SignedPut, StoredObject
from gpupool.objects.store import disposition, put_headers, to_base64, to_hex

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

_MISSING = frozenset({"404", "NoSuchKey", "NotFound"})


class S3ObjectStore:
    """Needs GetObject, PutObject and DeleteObject on the bucket's keys, and ListBucket on the bucket: without the
    latter S3 answers 403 instead of 404 for an object that is not there."""

    def __init__(self, client: "S3Client", bucket: str) -> None:
        self._client = client
        self._bucket = bucket

    def presign_put(self, key: str, *, size_bytes: int, sha256: str, content_type: str, expires_seconds: int) -> SignedPut:
        params = {
            "Bucket": self._bucket,
            "Key": key,
            "ContentType": content_type,
            "ContentLength": size_bytes,
            "ChecksumSHA256": to_base64(sha256),
        }
        with _translated("upload URL", code="SIGNED_URL_FAILED"):
            url = self._client.generate_presigned_url("put_object", Params=params, ExpiresIn=expires_seconds)
        return SignedPut(url, put_headers(size_bytes=size_bytes, sha256=sha256, content_type=content_type))

    def presign_get(self, key: str, *, filename: str | None, expires_seconds: int) -> str:
        params: dict[str, Any] = {"Bucket": self._bucket, "Key": key}
        if filename is not None:
            params["ResponseContentDisposition"] = disposition(filename)
        with _translated("download URL", code="SIGNED_URL_FAILED"):
            return self._client.generate_presigned_url("get_object", Params=params, ExpiresIn=expires_seconds)

    def head(self, key: str) -> ObjectHead | None:
        with _translated("object"):
            try:
                answer = self._client.head_object(Bucket=self._bucket, Key=key, ChecksumMode="ENABLED")
            except self._client.exceptions.ClientError as error:
                if error_code(error) in _MISSING:
                    return None
                raise
        return ObjectHead(answer["ContentLength"], to_hex(answer.get("ChecksumSHA256", "")), answer.get("ContentType", ""))

    def list(self, prefix: str, *, limit: int) -> tuple[StoredObject, ...]:
        with _translated("list of objects"):
            pages = self._client.get_paginator("list_objects_v2").paginate(
                Bucket=self._bucket, Prefix=prefix, PaginationConfig={"MaxItems": limit}
            )
            return tuple(StoredObject(each["Key"], each["Size"]) for page in pages for each in page.get("Contents", ()))

    def read_range(self, key: str, *, start: int, length: int) -> bytes:
        with _translated("object"):
            answer = self._client.get_object(Bucket=self._bucket, Key=key, Range=f"bytes={start}-{start + length - 1}")
            return answer["Body"].read()

    def delete(self, key: str) -> None:
        with _translated("object"):
            self._client.delete_object(Bucket=self._bucket, Key=key)


@contextmanager
def _translated(what: str, *, code: str = "STORAGE_UNAVAILABLE") -> Iterator[None]:
    from botocore.exceptions import BotoCoreError, ClientError

    try:
        yield
    except (BotoCoreError, ClientError) as error:
        raise Unavailable(f"The storage did not serve the {what}; try again in a moment.", code=code) from error
