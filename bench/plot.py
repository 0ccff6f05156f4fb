"""Figures that a bench leaves as pictures."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import matplotlib as mpl

Points = Sequence[tuple[float, float]]


def draw_growth(path: Path, panels: Mapping[str, Mapping[str, Points]], *, x: str, title: str) -> None:
    """Panels side by side, all axes logarithmic; ``panels`` maps what a panel's height means to its lines by name."""
    mpl.use("Agg")
    from matplotlib import pyplot  # the backend has to be chosen first: there may be no screen

    figure, axes = pyplot.subplots(1, len(panels), figsize=(4.5 * len(panels), 3.8), squeeze=False)
    for axis, (height, lines) in zip(axes[0], panels.items(), strict=True):
        for name, points in lines.items():
            axis.plot(*zip(*points, strict=True), label=name, marker="o", linewidth=1.5)
        axis.set(xlabel=x, ylabel=height, xscale="log", yscale="log")
        axis.grid(alpha=0.3, which="both")
        axis.legend(fontsize="small")
    figure.suptitle(title)
    figure.tight_layout()
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=110)
    pyplot.close(figure)
