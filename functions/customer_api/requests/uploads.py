"""Declaring datasets and training packages."""

from typing import Annotated

from pydantic import Field

from functions.customer_api.requests.base import Name, Request
from gpupool.uploads.model import MAX_BYTES, Declaration, PartWish, UploadKind
from gpupool.uploads.parts import MAX_PARTS

Sha256 = Annotated[str, Field(pattern="^[0-9a-fA-F]{64}$", description="SHA-256 of the bytes, in hex")]
MediaType = Annotated[
    str, Field(max_length=100, pattern=r"^[A-Za-z0-9][A-Za-z0-9!#$&^_.+-]*/[A-Za-z0-9][A-Za-z0-9!#$&^_.+-]*$")
]


class _DeclareRequest(Request):
    name: Name
    sha256: Sha256
    content_type: MediaType = "application/octet-stream"


class DeclareDatasetRequest(_DeclareRequest):
    size_bytes: Annotated[int, Field(ge=1, le=MAX_BYTES[UploadKind.DATASET])]


class DeclarePackageRequest(_DeclareRequest):
    size_bytes: Annotated[int, Field(ge=1, le=MAX_BYTES[UploadKind.TRAINING_PACKAGE])]
    content_type: MediaType = "application/zip"


class PartRequest(Request):
    part_number: Annotated[int, Field(ge=1, le=MAX_PARTS)]
    sha256: Annotated[str, Field(pattern="^[0-9a-fA-F]{64}$", description="SHA-256 of the part's bytes, in hex")]


class SignPartsRequest(Request):
    parts: Annotated[list[PartRequest], Field(min_length=1, max_length=100)]


def part_wishes(body: SignPartsRequest) -> tuple[PartWish, ...]:
    return tuple(PartWish(part.part_number, part.sha256.lower()) for part in body.parts)


def declaration(body: DeclareDatasetRequest | DeclarePackageRequest) -> Declaration:
    return Declaration(body.name, body.size_bytes, body.sha256.lower(), body.content_type.lower())
