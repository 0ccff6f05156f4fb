"""The reference as anybody fetches it: cacheable, complete without other hosts, under a strict policy."""

import gzip
import re

import httpx
import pytest

from functions.customer_api.reference.errors import CODES
from tests.support.asgi import AsgiClient
from tests.support.customer_door import Door, document


@pytest.fixture
def client() -> AsgiClient:
    return AsgiClient(Door().app)


def script_of(page: httpx.Response) -> str:
    found = re.search(r'src="(docs/[^"]+)"', page.text)
    assert found is not None
    return f"/{found[1]}"


def test_the_document_is_public(client: AsgiClient) -> None:
    answer = client.get("/api/v1/openapi.json")
    assert (answer.status_code, answer.json()) == (200, document())
    assert answer.headers["content-type"] == "application/json"


def test_the_page_asks_no_other_host_for_anything(client: AsgiClient) -> None:
    page = client.get("/docs")
    assert (page.status_code, page.headers["content-type"]) == (200, "text/html; charset=utf-8")
    assert re.findall(r'(?:src|spec-url)="([^"]+)"', page.text) == ["api/v1/openapi.json", script_of(page)[1:]]
    policy = page.headers["content-security-policy"]
    assert "default-src 'none'; script-src 'self';" in policy
    assert "http" not in policy


def test_its_script_is_kept_for_ever_under_a_name_that_changes_with_it(client: AsgiClient) -> None:
    script = client.get(script_of(client.get("/docs")))
    assert (script.status_code, script.headers["content-type"]) == (200, "text/javascript; charset=utf-8")
    assert script.headers["cache-control"] == "public, max-age=31536000, immutable"
    assert b"Redoc" in script.content
    assert len(script.content) < 4_000_000


@pytest.mark.parametrize("path", ["/docs", "/api/v1/openapi.json"])
def test_who_has_it_is_told_so(client: AsgiClient, path: str) -> None:
    first = client.get(path)
    assert first.headers.get_list("cache-control") == ["public, max-age=3600"]
    again = client.get(path, headers={"If-None-Match": first.headers["etag"]})
    assert (again.status_code, again.content, again.headers["etag"]) == (304, b"", first.headers["etag"])
    assert client.get(path, headers={"If-None-Match": '"another"'}).status_code == 200


def test_it_is_packed_for_who_can_unpack(client: AsgiClient) -> None:
    plain = client.get("/api/v1/openapi.json", headers={"Accept-Encoding": "identity"})
    packed = client.get("/api/v1/openapi.json", headers={"Accept-Encoding": "gzip"})
    assert "content-encoding" not in plain.headers
    assert packed.headers["content-encoding"] == "gzip"
    assert packed.content == plain.content
    assert len(gzip.compress(plain.content)) * 4 < len(plain.content)


def test_every_code_has_its_section(client: AsgiClient) -> None:
    text = client.get("/api/v1/openapi.json").json()["info"]["description"]
    for code, refusal in CODES.items():
        assert f"## {code}\n\n**HTTP {refusal.status}.** {refusal.cause}\n\n**What to do.** {refusal.remedy}" in text
