"""The handwritten digits: where the channel has them, and which of them are for training, validation and test."""

import os
from dataclasses import dataclass
from pathlib import Path

import numpy as np

SPLIT_SEED = 1797  # apart from the training seed: no choice of that seed can move a test image into training
TEST_IMAGES = 360
VALIDATION_IMAGES = 287
BRIGHTEST_PIXEL = 16.0

EXAMPLE = Path(__file__).resolve().parent.parent


@dataclass(frozen=True)
class Images:
    """``pixels`` float32 (n, 8, 8) in 0..1, ``labels`` int64 (n,) in 0..9."""

    pixels: np.ndarray
    labels: np.ndarray


@dataclass(frozen=True)
class Split:
    train: Images
    validation: Images
    test: Images


def folder(variable: str, *, alone: str) -> Path:
    """The folder that the platform names in ``variable``; outside the platform ``alone``, beside the package."""
    return Path(os.environ.get(variable) or EXAMPLE / alone)


def load(channel: Path) -> Split:
    """Read the channel's one ``.npz`` (arrays ``images`` and ``labels``). The same file always gives the same split."""
    files = sorted(channel.glob("*.npz"))
    if len(files) != 1:
        raise SystemExit(f"expected exactly one .npz file in {channel}, found {len(files)}")
    with np.load(files[0], allow_pickle=False) as archive:
        pixels = archive["images"].astype(np.float32) / BRIGHTEST_PIXEL
        labels = archive["labels"].astype(np.int64)
    order = np.random.default_rng(SPLIT_SEED).permutation(len(labels))
    test, validation, train = np.split(order, [TEST_IMAGES, TEST_IMAGES + VALIDATION_IMAGES])

    def chosen(index: np.ndarray) -> Images:
        return Images(pixels=pixels[index], labels=labels[index])

    return Split(train=chosen(train), validation=chosen(validation), test=chosen(test))


def augmented(images: Images, *, copies: int, rng: np.random.Generator) -> Images:
    """``copies`` of every image, each moved by up to one pixel and slightly noisy, shuffled."""
    index = rng.permutation(np.repeat(np.arange(len(images.labels)), copies))
    padded = np.pad(images.pixels[index], ((0, 0), (1, 1), (1, 1)))
    down, right = rng.integers(0, 3, size=(2, len(index), 1, 1))
    row, column = np.ogrid[0:8, 0:8]
    moved = padded[np.arange(len(index))[:, None, None], row + down, column + right]
    noise = rng.normal(0.0, 0.05, size=moved.shape).astype(np.float32)
    return Images(pixels=moved + noise, labels=images.labels[index])
