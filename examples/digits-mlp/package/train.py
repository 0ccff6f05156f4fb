"""Train the digit classifier: one JSON line of metrics per epoch, the model as ``model.npz``.

Runs unchanged as a SageMaker script-mode entry, on GPU-Agent and alone. With a checkpoint folder it saves its whole state
every few epochs and goes on from there when it is started again, to exactly the weights of an uninterrupted run.
"""

import argparse
import json
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")  # the matrices are too small for a second thread to pay

import numpy as np
from digits import Split, augmented, folder, load
from network import Adam, Network

CHECKPOINT = "checkpoint.npz"


@dataclass
class Run:
    """What a checkpoint holds: everything that the next epoch depends on besides the data and the options."""

    network: Network
    adam: Adam
    epochs_done: int = 0


def options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--epochs", type=int, default=40)
    parser.add_argument("--hidden", type=int, default=384, help="units of the first hidden layer; the second has half")
    parser.add_argument("--learning-rate", "--learning_rate", type=float, default=0.002)
    parser.add_argument("--batch-size", "--batch_size", type=int, default=64)
    parser.add_argument("--copies", type=int, default=8, help="moved and noisy copies of each image per epoch")
    parser.add_argument("--seed", type=int, default=7)
    parser.add_argument("--checkpoint-every", "--checkpoint_every", type=int, default=5, help="epochs")
    parser.add_argument("--checkpoint-dir", type=Path, default=os.environ.get("SM_CHECKPOINT_DIR") or None)
    return parser.parse_args()


def identity(chosen: argparse.Namespace) -> str:
    """The options that shape the weights; a checkpoint of other options is not continued."""
    names = ("epochs", "hidden", "learning_rate", "batch_size", "copies", "seed")
    return json.dumps({name: getattr(chosen, name) for name in names})


def fresh(chosen: argparse.Namespace) -> Run:
    sizes = [64, chosen.hidden, max(1, chosen.hidden // 2), 10]
    network = Network.fresh(sizes, np.random.default_rng([chosen.seed, 0]))
    return Run(network=network, adam=Adam.fresh(network))


def resumed(chosen: argparse.Namespace) -> Run | None:
    path = chosen.checkpoint_dir and chosen.checkpoint_dir / CHECKPOINT
    if not path or not path.exists():
        return None
    with np.load(path, allow_pickle=False) as archive:
        if str(archive["identity"]) != identity(chosen):
            print("the checkpoint found is of other options: starting anew", flush=True)
            return None
        run = fresh(chosen)
        run.network.parameters = [archive[f"parameter_{at}"] for at in range(len(run.network.parameters))]
        run.adam.moments = [archive[f"moment_{at}"] for at in range(len(run.adam.moments))]
        run.adam.steps, run.epochs_done = int(archive["steps"]), int(archive["epochs_done"])
    print(f"resumed after epoch {run.epochs_done}", flush=True)
    return run


def save_checkpoint(run: Run, chosen: argparse.Namespace) -> None:
    """Replaces the last checkpoint in one step, so that a kill at any moment leaves a whole one."""
    state: dict[str, Any] = {f"parameter_{at}": value for at, value in enumerate(run.network.parameters)}
    state |= {f"moment_{at}": value for at, value in enumerate(run.adam.moments)}
    state |= {"identity": identity(chosen), "steps": run.adam.steps, "epochs_done": run.epochs_done}
    chosen.checkpoint_dir.mkdir(parents=True, exist_ok=True)
    unfinished = chosen.checkpoint_dir / "unfinished.npz"
    np.savez(unfinished, **state)
    unfinished.replace(chosen.checkpoint_dir / CHECKPOINT)


def epoch(run: Run, split: Split, chosen: argparse.Namespace) -> float:
    """One pass; returns its mean training loss. Its random numbers depend on the seed and the epoch only."""
    number = run.epochs_done + 1
    images = augmented(split.train, copies=chosen.copies, rng=np.random.default_rng([chosen.seed, number]))
    learning_rate = chosen.learning_rate * 0.5 * (1 + np.cos(np.pi * run.epochs_done / chosen.epochs))
    losses = []
    for start in range(0, len(images.labels), chosen.batch_size):
        batch = slice(start, start + chosen.batch_size)
        loss, gradients = run.network.loss_and_gradients(images.pixels[batch], images.labels[batch])
        run.adam.step(run.network, gradients, learning_rate=learning_rate)
        losses.append(loss)
    run.epochs_done = number
    return float(np.mean(losses))


def main() -> None:
    chosen = options()
    split = load(folder("SM_CHANNEL_TRAINING", alone="dataset"))
    run = resumed(chosen) or fresh(chosen)
    while run.epochs_done < chosen.epochs:
        train_loss = epoch(run, split, chosen)
        validation_loss, accuracy = run.network.measure(split.validation.pixels, split.validation.labels)
        line = {
            "epoch": run.epochs_done,
            "epochs": chosen.epochs,
            "train_loss": round(train_loss, 5),
            "validation_loss": round(validation_loss, 5),
            "validation_accuracy": round(accuracy, 5),
        }
        print(json.dumps(line), flush=True)
        if chosen.checkpoint_dir and (run.epochs_done % chosen.checkpoint_every == 0 or run.epochs_done == chosen.epochs):
            save_checkpoint(run, chosen)
    models = folder("SM_MODEL_DIR", alone="out/model")
    models.mkdir(parents=True, exist_ok=True)
    run.network.save(models / "model.npz")


if __name__ == "__main__":
    main()
