"""The table as stacked bars."""

from pathlib import Path

import matplotlib as mpl

from bench.cost.prices import PER_MILLION, STORE
from bench.cost.table import Column

_DPI = 120


def draw(columns: list[Column], path: Path) -> None:
    """One bar per design; where heartbeats would dwarf everything, the axis ends below them and they are written on top."""
    mpl.use("Agg")
    from matplotlib import pyplot  # the backend has to be chosen first: there may be no screen

    figure, (parts, whole) = pyplot.subplots(1, 2, figsize=(14, 5.5), layout="constrained")
    names = [column.name.replace(" ", "\n") for column in columns]
    items = [item for item in PER_MILLION if item not in STORE]
    bottom = [0.0] * len(columns)
    for item in items:
        heights = [column.line(item) for column in columns]
        parts.bar(names, heights, bottom=bottom, label=str(item))
        bottom = [below + height for below, height in zip(bottom, heights, strict=True)]
    parts.set_ylabel("dollars per million units")
    parts.set_title("control plane, without heartbeats and S3")
    parts.legend(fontsize=8)
    below = [0.0] * len(columns)
    for label, name in (("control plane", "control_plane"), ("heartbeats and keys", "heartbeats"), ("S3", "store")):
        heights = [getattr(column, name) for column in columns]
        whole.bar(names, heights, bottom=below, label=label)
        below = [low + height for low, height in zip(below, heights, strict=True)]
    whole.set_yscale("symlog", linthresh=10)
    whole.set_title("with heartbeats and S3 (logarithmic above 10)")
    whole.legend(fontsize=8)
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=_DPI)
    pyplot.close(figure)
