"""One lane of the sweep: a small digit classifier with one hidden layer, by plain gradient descent without momentum.

Nothing here knows that it is swept; ``gpu-agent.toml`` says which parameter sets to try. How well plain descent does in a fixed
number of epochs hangs on the learning rate, which is what the sweep is to find out.
"""

import argparse
import json
import os
from pathlib import Path
from typing import Any

os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")  # the matrices are too small for a second thread to pay

import numpy as np

EXAMPLE = Path(__file__).resolve().parent.parent
SHARED_DATASET = EXAMPLE.parent / "digits-mlp" / "dataset"
SPLIT_SEED = 1797  # apart from the training seed, so that every lane is compared on the same images
TEST_IMAGES, VALIDATION_IMAGES = 360, 287

Weights = dict[str, Any]
Images = tuple[np.ndarray, np.ndarray]


def load(part: str) -> Images:
    """``part`` is train, validation or test; pixels float32 (n, 64) in 0..1 and labels (n,)."""
    channel = Path(os.environ.get("SM_CHANNEL_TRAINING") or SHARED_DATASET)
    files = sorted(channel.glob("*.npz"))
    if len(files) != 1:
        raise SystemExit(f"expected exactly one .npz file in {channel}, found {len(files)}")
    with np.load(files[0], allow_pickle=False) as archive:
        pixels = archive["images"].reshape(-1, 64).astype(np.float32) / 16.0
        labels = archive["labels"].astype(np.int64)
    order = np.random.default_rng(SPLIT_SEED).permutation(len(labels))
    parts = np.split(order, [TEST_IMAGES, TEST_IMAGES + VALIDATION_IMAGES])
    index = dict(zip(("test", "validation", "train"), parts, strict=True))[part]
    return pixels[index], labels[index]


def forward(weights: Weights, pixels: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The hidden activations and the class probabilities."""
    hidden = np.tanh(pixels @ weights["W1"] + weights["b1"])
    scores = hidden @ weights["W2"] + weights["b2"]
    powers = np.exp(scores - scores.max(axis=1, keepdims=True))
    return hidden, powers / powers.sum(axis=1, keepdims=True)


def measure(weights: Weights, images: Images) -> tuple[float, float]:
    """Cross-entropy in nats and the share of right answers."""
    pixels, labels = images
    probabilities = forward(weights, pixels)[1]
    picked = probabilities[np.arange(len(labels)), labels]
    return float(-np.log(np.maximum(picked, 1e-12)).mean()), float((probabilities.argmax(axis=1) == labels).mean())


def descend(weights: Weights, images: Images, *, learning_rate: float) -> None:
    """One step on one batch, in place."""
    pixels, labels = images
    hidden, error = forward(weights, pixels)
    error[np.arange(len(labels)), labels] -= 1.0
    error /= len(labels)
    below = (error @ weights["W2"].T) * (1.0 - hidden * hidden)
    weights["W2"] -= learning_rate * (hidden.T @ error)
    weights["b2"] -= learning_rate * error.sum(axis=0)
    weights["W1"] -= learning_rate * (pixels.T @ below)
    weights["b1"] -= learning_rate * below.sum(axis=0)


def fresh(*, hidden: int, rng: np.random.Generator) -> Weights:
    return {
        "W1": rng.normal(0.0, 64**-0.5, (64, hidden)).astype(np.float32),
        "b1": np.zeros(hidden, dtype=np.float32),
        "W2": rng.normal(0.0, hidden**-0.5, (hidden, 10)).astype(np.float32),
        "b2": np.zeros(10, dtype=np.float32),
    }


def train(chosen: argparse.Namespace) -> Weights:
    (pixels, labels), validation = load("train"), load("validation")
    rng = np.random.default_rng(chosen.seed)
    weights = fresh(hidden=chosen.hidden, rng=rng)
    for epoch in range(1, chosen.epochs + 1):
        for batch in np.array_split(rng.permutation(len(labels)), len(labels) // chosen.batch_size):
            descend(weights, (pixels[batch], labels[batch]), learning_rate=chosen.learning_rate)
        if epoch % chosen.report_every and epoch != chosen.epochs:
            continue
        loss, accuracy = measure(weights, validation)
        train_loss = measure(weights, (pixels, labels))[0]
        line = {"epoch": epoch, "epochs": chosen.epochs, "train_loss": train_loss, "validation_loss": loss}
        line = {name: round(value, 5) for name, value in line.items()} | {"validation_accuracy": round(accuracy, 5)}
        print(json.dumps(line), flush=True)
    return weights


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--learning-rate", "--learning_rate", type=float, default=0.1)
    parser.add_argument("--hidden", type=int, default=32)
    parser.add_argument("--epochs", type=int, default=250)
    parser.add_argument("--batch-size", "--batch_size", type=int, default=4)
    parser.add_argument("--report-every", "--report_every", type=int, default=5, help="epochs")
    parser.add_argument("--seed", type=int, default=7)
    weights = train(parser.parse_args())
    models = Path(os.environ.get("SM_MODEL_DIR") or EXAMPLE / "out" / "model")
    models.mkdir(parents=True, exist_ok=True)
    np.savez(models / "model.npz", **weights)


if __name__ == "__main__":
    main()
