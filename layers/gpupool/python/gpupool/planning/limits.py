"""Bounds of a plan and of its units."""

from gpupool.wire.vocabulary import VRAM_FLOOR_MB

MAX_UNITS = 10_000
# A claim hands over every need's outputs at once, each as a URL of up to 2 KB; more would not fit one answer.
MAX_NEEDS = 100
MAX_VRAM_MB = max(VRAM_FLOOR_MB.values())
# Less would not hold a log and a result.
MIN_DISK_MB = 64
MAX_DISK_MB = 10_000_000
# Six hours: the most work that one lost machine can cost.
MAX_RUNTIME_SECONDS = 21_600
# The platform's own steps move and check files.
PLATFORM_STEP_SECONDS = 300
# Bytes of a manifest's text, and of its stored form with the grid multiplied out: a row holds at most 400 KB.
MAX_MANIFEST_BYTES = 65_536
MAX_STORED_BYTES = 200_000
# Python's TOML reader takes time with the square of a dotted key's length; a key cannot span lines.
MAX_DOTS_PER_LINE = 300
