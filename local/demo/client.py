"""The customer's side of the public HTTP API, as a program of theirs would use it."""

import hashlib
import json
import uuid
from pathlib import Path
from typing import Any, cast

import urllib3

Json = dict[str, Any]

_TIMEOUT = urllib3.Timeout(connect=5.0, read=60.0)


class ApiError(Exception):
    """The API refused; the text is its answer."""


class CustomerClient:
    def __init__(self, *, api: str, key: str) -> None:
        self._base = f"{api}/api/v1/customer"
        self._key = key
        self._http = urllib3.PoolManager(timeout=_TIMEOUT, retries=urllib3.Retry(2, backoff_factor=0.2))

    def upload(self, collection: str, path: Path, *, name: str, content_type: str) -> Json:
        """Declares, uploads and finalizes one file; ``collection`` is datasets or training-packages."""
        with path.open("rb") as file:
            digest = hashlib.file_digest(file, "sha256").hexdigest()
        size = path.stat().st_size
        body = {"name": name, "size_bytes": size, "sha256": digest, "content_type": content_type}
        declared = self._call("POST", f"/{collection}", body=body, headers={"Idempotency-Key": str(uuid.uuid4())})
        if declared["upload"]["method"] == "MULTIPART":
            self._send_parts(f"/{collection}/{declared['id']}", declared["upload"], path)
        else:
            self._put(declared["upload"], path.read_bytes(), what=name)
        return self._call("POST", f"/{collection}/{declared['id']}/finalize")

    def _send_parts(self, resource: str, how: Json, path: Path) -> None:
        """Every part that has not arrived yet, one URL at a time so that none grows old."""
        there = {part["part_number"] for part in self._all(f"{resource}/parts")}
        with path.open("rb") as file:
            for number in range(1, how["parts_total"] + 1):
                content = file.read(how["part_size_bytes"])
                if number in there:
                    continue
                wish = {"part_number": number, "sha256": hashlib.sha256(content).hexdigest()}
                (part,) = self._call("POST", f"{resource}/parts", body={"parts": [wish]})["parts"]
                self._put(part, content, what=f"part {number} of {path.name}")

    def _put(self, target: Json, content: bytes, *, what: str) -> None:
        answer = self._http.request(target["method"], target["url"], body=content, headers=target["headers"])
        if answer.status != 200:
            raise ApiError(f"upload of {what}: {answer.status} {answer.data[:300].decode(errors='replace')}")

    def submit(self, job: Json, *, idempotency_key: str) -> Json:
        return self._call("POST", "/training-jobs", body=job, headers={"Idempotency-Key": idempotency_key})

    def job(self, job_id: str) -> Json:
        return self._call("GET", f"/training-jobs/{job_id}")

    def cancel(self, job_id: str) -> Json:
        return self._call("POST", f"/training-jobs/{job_id}/cancel")

    def units(self, job_id: str) -> list[Json]:
        return self._all(f"/training-jobs/{job_id}/compute-units")

    def artifacts(self, job_id: str) -> list[Json]:
        return self._all(f"/training-jobs/{job_id}/artifacts")

    def ledger(self, job_id: str) -> list[Json]:
        """The job's entries, oldest first."""
        return [entry for entry in reversed(self._all("/credits/ledger")) if entry.get("job_id") == job_id]

    def download(self, job_id: str, artifact_id: str) -> bytes:
        """An artifact's bytes through a URL minted for it."""
        minted = self._call("POST", f"/training-jobs/{job_id}/artifacts/{artifact_id}/download-url")
        answer = self._http.request("GET", minted["download_url"])
        if answer.status != 200:
            raise ApiError(f"download of {artifact_id}: {answer.status}")
        return answer.data

    def _all(self, path: str) -> list[Json]:
        rows: list[Json] = []
        cursor = ""
        while True:
            page = self._call("GET", f"{path}?limit=100{cursor}")
            rows += page["data"]
            if not page["page"]["has_more"]:
                return rows
            cursor = f"&cursor={page['page']['next_cursor']}"

    def _call(self, method: str, path: str, *, body: Json | None = None, headers: dict[str, str] | None = None) -> Json:
        sent = {"X-API-Key": self._key, **(headers or {})}
        if body is not None:
            sent["Content-Type"] = "application/json"
        answer = self._http.request(
            method, f"{self._base}{path}", body=json.dumps(body) if body is not None else None, headers=sent
        )
        if answer.status >= 300:
            raise ApiError(f"{method} {path}: {answer.status} {answer.data[:1000].decode(errors='replace')}")
        return cast(Json, json.loads(answer.data)) if answer.data else {}
