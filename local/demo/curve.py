"""The learning curve as a picture."""

import json
from collections import defaultdict
from pathlib import Path

import matplotlib as mpl

Series = dict[str, list[tuple[float, float]]]


def read_curves(metrics: bytes, *, prefix: str = "") -> Series:
    """Loss and accuracy by epoch or step, from a unit's ``metrics.jsonl``."""
    curves: Series = defaultdict(list)
    for number, line in enumerate(metrics.decode().splitlines()):
        row = json.loads(line)
        at = float(row.get("epoch", row.get("step", number)))
        for name, value in row.items():
            if "loss" in name or "accuracy" in name or "bits" in name:
                curves[f"{prefix}{name}"].append((at, float(value)))
    return dict(curves)


def draw(curves: Series, path: Path, *, title: str) -> None:
    """Writes a PNG: losses above, accuracies below when there are any."""
    mpl.use("Agg")
    from matplotlib import pyplot  # the backend has to be chosen first: there may be no screen

    groups = [
        {name: points for name, points in curves.items() if "accuracy" not in name and len(points) > 1},
        {name: points for name, points in curves.items() if "accuracy" in name and len(points) > 1},
    ]
    shown = [group for group in groups if group]
    figure, axes = pyplot.subplots(max(1, len(shown)), 1, figsize=(8, 3.5 * max(1, len(shown))), squeeze=False)
    for axis, group, label in zip(axes[:, 0], shown, ("loss", "accuracy"), strict=False):
        for name, points in group.items():
            axis.plot(*zip(*points, strict=True), label=name, linewidth=1.5)
        axis.set(xlabel="epoch or step", ylabel=label)
        axis.grid(alpha=0.3)
        axis.legend(fontsize="small")
    figure.suptitle(title)
    figure.tight_layout()
    figure.savefig(path, dpi=110)
    pyplot.close(figure)
