"""Presigned uploads of declared bytes, and where an attempt's outputs lie."""

from gpupool.objects.store import URL_SECONDS, ObjectStore
from gpupool.units.model import Unit
from gpupool.wire.units import LogChunk, OutputFile, Upload

_OUTPUT_TYPE = "application/octet-stream"
_LOG_TYPE = "text/plain"


class Signing:
    def __init__(self, objects: ObjectStore) -> None:
        self._objects = objects

    def output(self, unit: Unit, file: OutputFile) -> Upload:
        key = output_key(unit, file.name)
        return self._signed(key, size_bytes=file.size_bytes, sha256=file.sha256, content_type=_OUTPUT_TYPE)

    def log_chunk(self, unit: Unit, chunk: LogChunk) -> Upload:
        key = f"{log_folder(unit, unit.attempt)}{chunk.seq:06d}.txt"
        return self._signed(key, size_bytes=chunk.size_bytes, sha256=chunk.sha256, content_type=_LOG_TYPE)

    def _signed(self, key: str, *, size_bytes: int, sha256: str, content_type: str) -> Upload:
        signed = self._objects.presign_put(
            key, size_bytes=size_bytes, sha256=sha256, content_type=content_type, expires_seconds=URL_SECONDS
        )
        return Upload(method=signed.method, url=signed.url, headers=signed.headers)


def output_key(unit: Unit, name: str) -> str:
    """The attempt's own folder, so that no attempt writes over another's."""
    return f"jobs/{unit.job_id}/{unit.id}/{unit.attempt}/{name}"


def log_folder(unit: Unit, attempt: int) -> str:
    """Where the chunks of one attempt's log lie; the bucket forgets them after a month."""
    return f"logs/{unit.job_id}/{unit.id}/{attempt}/"
