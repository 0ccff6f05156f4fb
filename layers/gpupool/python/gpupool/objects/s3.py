"""The bucket on S3."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from gpupool.dynamo import error_code
from gpupool.errors import Unavailable
from gpupool.objects.model import ObjectHead, SignedPut, StoredObject, StoredPart
from gpupool.objects.store import disposition, part_headers, put_headers, to_base64, to_hex

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client
    from mypy_boto3_s3.type_defs import CompletedPartTypeDef, PartTypeDef

_MISSING = frozenset({"404", "NoSuchKey", "NotFound"})
_OVER = "NoSuchUpload"


class S3ObjectStore:
    """Needs GetObject, PutObject and DeleteObject on the bucket's keys, and ListBucket on the bucket: without the
    latter S3 answers 403 instead of 404 for an object that is not there. Uploads in parts need ListMultipartUploadParts
    and AbortMultipartUpload as well."""

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

    def put(self, key: str, body: bytes, *, content_type: str) -> None:
        with _translated("object"):
            # Without an algorithm named, the bucket checks another digest and ``head`` has none to tell.
            self._client.put_object(
                Bucket=self._bucket, Key=key, Body=body, ContentType=content_type, ChecksumAlgorithm="SHA256"
            )

    def delete(self, key: str) -> None:
        with _translated("object"):
            self._client.delete_object(Bucket=self._bucket, Key=key)

    def create_multipart(self, key: str, *, content_type: str) -> str:
        # With an algorithm named, S3 refuses a part without its digest and tells the digest when it lists the part.
        terms: dict[str, Any] = {"Bucket": self._bucket, "Key": key, "ContentType": content_type}
        with _translated("upload"):
            return self._client.create_multipart_upload(**terms, ChecksumAlgorithm="SHA256")["UploadId"]

    def presign_part(
        self, key: str, *, upload_id: str, number: int, size_bytes: int, sha256: str, expires_seconds: int
    ) -> SignedPut:
        params = {
            "Bucket": self._bucket,
            "Key": key,
            "UploadId": upload_id,
            "PartNumber": number,
            "ContentLength": size_bytes,
            "ChecksumSHA256": to_base64(sha256),
        }
        with _translated("upload URL", code="SIGNED_URL_FAILED"):
            url = self._client.generate_presigned_url("upload_part", Params=params, ExpiresIn=expires_seconds)
        return SignedPut(url, part_headers(size_bytes=size_bytes, sha256=sha256))

    def list_parts(self, key: str, *, upload_id: str, after: int, limit: int) -> tuple[StoredPart, ...] | None:
        with _translated("parts"):
            try:
                answer = self._client.list_parts(
                    Bucket=self._bucket, Key=key, UploadId=upload_id, PartNumberMarker=after, MaxParts=limit
                )
            except self._client.exceptions.ClientError as error:
                if error_code(error) == _OVER:
                    return None
                raise
        return tuple(_stored(part) for part in answer.get("Parts", []))

    def complete_multipart(self, key: str, *, upload_id: str, parts: Sequence[StoredPart]) -> None:
        named = [_named(part) for part in parts]
        with _translated("upload"), self._unless_over():
            self._client.complete_multipart_upload(
                Bucket=self._bucket, Key=key, UploadId=upload_id, MultipartUpload={"Parts": named}
            )

    def abort_multipart(self, key: str, *, upload_id: str) -> None:
        with _translated("upload"), self._unless_over():
            self._client.abort_multipart_upload(Bucket=self._bucket, Key=key, UploadId=upload_id)

    @contextmanager
    def _unless_over(self) -> Iterator[None]:
        try:
            yield
        except self._client.exceptions.ClientError as error:
            if error_code(error) != _OVER:
                raise


def _stored(part: "PartTypeDef") -> StoredPart:
    return StoredPart(part["PartNumber"], part["Size"], to_hex(part.get("ChecksumSHA256", "")), part["ETag"])


def _named(part: StoredPart) -> "CompletedPartTypeDef":
    """S3 wants the digest of every part repeated; an emulation that does not tell them does not miss them."""
    named: CompletedPartTypeDef = {"PartNumber": part.number, "ETag": part.etag}
    return {**named, "ChecksumSHA256": to_base64(part.sha256)} if part.sha256 else named


@contextmanager
def _translated(what: str, *, code: str = "STORAGE_UNAVAILABLE") -> Iterator[None]:
    from botocore.exceptions import BotoCoreError, ClientError

    try:
        yield
    except (BotoCoreError, ClientError) as error:
        raise Unavailable(f"The storage did not serve the {what}; try again in a moment.", code=code) from error
