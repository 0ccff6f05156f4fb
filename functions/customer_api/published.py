"""The reference as files: the document, a page that shows it with Redoc, and Redoc itself from our own address."""

import gzip
import json
from dataclasses import dataclass, field
from functools import cached_property
from hashlib import sha256
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from fastapi import Request, Response

from gpupool.errors import NotFound

_HOUR = "public, max-age=3600"
# The name of such a file holds its digest.
_FOR_EVER = "public, max-age=31536000, immutable"
# Redoc writes its styles at runtime and searches in a worker made of a blob. Nothing comes from another host.
_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; connect-src 'self'; "
    "worker-src blob:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
_PAGE = """\
<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>GPU-Agent Customer API</title>
<link rel="icon" href="data:,">
<style>body {{ margin: 0 }} a[href="https://redocly.com/redoc/"] {{ display: none }}</style>
</head>
<body>
<noscript>This page needs JavaScript. The document that it shows is <a href="api/v1/openapi.json">openapi.json</a>.</noscript>
<redoc spec-url="api/v1/openapi.json" expand-responses="200,201,202"></redoc>
<script src="docs/{script}"></script>
</body>
</html>
"""


@dataclass(frozen=True)
class File:
    """Bytes that are the same for everybody, with the headers that let browsers and proxies keep them."""

    body: bytes
    media_type: str
    cache: str = _HOUR
    headers: dict[str, str] = field(default_factory=dict)

    @cached_property
    def digest(self) -> str:
        return sha256(self.body).hexdigest()[:16]

    @cached_property
    def packed(self) -> bytes:
        # An answer of a function holds at most 6 MB, and the gateway packs nothing.
        return gzip.compress(self.body, mtime=0)

    def answer(self, request: Request) -> Response:
        """The file, or 304 for whoever has it already."""
        headers = {"ETag": f'"{self.digest}"', "Cache-Control": self.cache, "Vary": "Accept-Encoding", **self.headers}
        if headers["ETag"] in request.headers.get("if-none-match", ""):
            return Response(status_code=304, headers=headers)
        if "gzip" in request.headers.get("accept-encoding", ""):
            return Response(self.packed, media_type=self.media_type, headers={**headers, "Content-Encoding": "gzip"})
        return Response(self.body, media_type=self.media_type, headers=headers)


class Published:
    """``document`` is the OpenAPI document as FastAPI makes it."""

    def __init__(self, document: dict[str, Any]) -> None:
        text = json.dumps(document, ensure_ascii=False, separators=(",", ":"))
        self.document = File(text.encode(), "application/json")
        self._script = File(_redoc(), "text/javascript", cache=_FOR_EVER)
        self._script_name = f"redoc.{self._script.digest}.js"
        html = _PAGE.format(script=self._script_name)
        policy = {"Content-Security-Policy": _POLICY, "X-Content-Type-Options": "nosniff", "Referrer-Policy": "no-referrer"}
        self.page = File(html.encode(), "text/html", headers=policy)

    def asset(self, name: str) -> File:
        """A file that the page asks for; NotFound for any other name."""
        if name != self._script_name:
            raise NotFound("There is nothing at this path; open /docs.")
        return self._script


def _redoc() -> bytes:
    """The script that the package brings along; importing the package would bring its own application too."""
    found = find_spec("fastapi_offline")
    if found is None or found.origin is None:
        raise RuntimeError("fastapi-offline is not installed")
    return (Path(found.origin).parent / "static" / "redoc.standalone.js").read_bytes()
