"""Measure one lane's model: the validation accuracy that the sweep selects by, and the test accuracy that it reports.

Selecting by the test images would make the winner's test accuracy look better than it is, so the two are kept apart.
"""

import argparse
import json
import os
from pathlib import Path

import numpy as np
from train import EXAMPLE, load, measure


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", type=Path, default=os.environ.get("SM_CHANNEL_MODEL") or EXAMPLE / "out" / "model")
    chosen, _of_training = parser.parse_known_args()  # the lane's hyper-parameters arrive here too
    with np.load(chosen.model / "model.npz", allow_pickle=False) as archive:
        weights = {name: archive[name] for name in archive.files}
    result = {f"{part}_accuracy": round(measure(weights, load(part))[1], 5) for part in ("validation", "test")}
    print(json.dumps(result), flush=True)
    output = Path(os.environ.get("SM_OUTPUT_DATA_DIR") or EXAMPLE / "out" / "output")
    output.mkdir(parents=True, exist_ok=True)
    (output / "evaluation.json").write_text(json.dumps(result) + "\n")


if __name__ == "__main__":
    main()
