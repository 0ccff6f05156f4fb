"""Bounds of a plan and of its units."""

from gpupool.wire.vocabulary import VRAM_FLOOR_MB

# Ids of units count with five digits, so that they sort as the units come.
MAX_UNITS = 100_000
# Needs that a dag may write for one unit. A node mounts each of their files on its own, and the sandbox takes 9,000 words.
MAX_NEEDS = 500
MAX_VRAM_MB = max(VRAM_FLOOR_MB.values())
# Less would not hold a log and a result.
MIN_DISK_MB = 64
MAX_DISK_MB = 10_000_000
# Six hours: the most work that one lost machine can cost.
MAX_RUNTIME_SECONDS = 21_600
# The platform's own steps move and check files.
PLATFORM_STEP_SECONDS = 300
# Bytes of a manifest's text, and of its stored form. No row shall weigh more than 100 KB, and that of a package holds more
# than its manifest: names, and the id of every live job that uses it.
MAX_MANIFEST_BYTES = 65_536
MAX_STORED_BYTES = 90_000
# Bytes of one table of parameters, and of a training's arguments. A unit's row holds up to three such, and how it failed.
MAX_PARAMETERS_BYTES = 16_384
# Python's TOML reader takes time with the square of a dotted key's length; a key cannot span lines.
MAX_DOTS_PER_LINE = 300
