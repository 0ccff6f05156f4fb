"""Measure the trained model on the test images, which training never saw. Writes ``evaluation.json``."""

import argparse
import json
import os
from pathlib import Path

import numpy as np
from digits import folder, load
from network import Network


def options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", type=Path, default=os.environ.get("SM_CHANNEL_MODEL") or None, help="folder of model.npz")
    # The job's hyper-parameters arrive here too; they shaped the model and have nothing left to say.
    return parser.parse_known_args()[0]


def main() -> None:
    chosen = options()
    models = chosen.model or folder("SM_MODEL_DIR", alone="out/model")
    network = Network.read(models / "model.npz")
    test = load(folder("SM_CHANNEL_TRAINING", alone="dataset")).test
    loss, accuracy = network.measure(test.pixels, test.labels)
    confusion = np.zeros((10, 10), dtype=int)
    np.add.at(confusion, (test.labels, network.probabilities(test.pixels).argmax(axis=1)), 1)
    result = {"test_accuracy": round(accuracy, 5), "test_loss": round(loss, 5)}
    print(json.dumps(result), flush=True)
    output = folder("SM_OUTPUT_DATA_DIR", alone="out/output")
    output.mkdir(parents=True, exist_ok=True)
    detail = {**result, "test_images": len(test.labels), "confusion_rows_are_true_digits": confusion.tolist()}
    (output / "evaluation.json").write_text(json.dumps(detail, indent=1) + "\n")


if __name__ == "__main__":
    main()
