"""Large uploads in parts: how many, how large, and which are still missing."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from gpupool.errors import ValidationFailed
from gpupool.objects.model import StoredPart
from gpupool.uploads.model import PartWish, Upload

MULTIPART_ABOVE_BYTES = 100_000_000
MIN_PART_BYTES = 8 * 1024 * 1024
MAX_PARTS = 10_000
_MB = 1024 * 1024


@dataclass(frozen=True, slots=True)
class PartTerms:
    """What arrives in parts (more than ``above_bytes``), and the least that a part but the last holds."""

    above_bytes: int = MULTIPART_ABOVE_BYTES
    min_part_bytes: int = MIN_PART_BYTES
    max_parts: int = MAX_PARTS


def part_size_of(size_bytes: int, terms: PartTerms) -> int | None:
    """The size of every part but the last, so that ``max_parts`` are enough; None for what arrives in one piece."""
    if size_bytes <= terms.above_bytes:
        return None
    needed = -(-size_bytes // terms.max_parts)
    return terms.min_part_bytes if needed <= terms.min_part_bytes else -(-needed // _MB) * _MB


def check_numbers(upload: Upload, wanted: Sequence[PartWish]) -> None:
    """VALIDATION_FAILED, with a pointer, for a number that the upload has no part for or that is there twice."""
    seen: set[int] = set()
    for place, wish in enumerate(wanted):
        if not 1 <= wish.number <= upload.parts_total:
            raise _wrong(place, f"The upload has the parts 1 to {upload.parts_total}; name one of them.")
        if wish.number in seen:
            raise _wrong(place, "This part is named twice; name it once.")
        seen.add(wish.number)


def missing_parts(upload: Upload, arrived: Iterable[StoredPart]) -> list[int]:
    """The numbers, in order, of parts that have not arrived in their full size."""
    sizes = {part.number: part.size_bytes for part in arrived}
    return [number for number in range(1, upload.parts_total + 1) if sizes.get(number) != upload.part_bytes(number)]


def _wrong(place: int, message: str) -> ValidationFailed:
    pointer = f"/parts/{place}/part_number"
    return ValidationFailed(message, field=pointer, details={"fields": [{"field": pointer, "message": message}]})
