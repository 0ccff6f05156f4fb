"""The table as bars."""

from pathlib import Path
from typing import Any

import matplotlib as mpl

from bench.cost.prices import PER_MILLION, STORE
from bench.cost.table import Column

_DPI = 110
_SHARES = (("control plane", "control_plane"), ("heartbeats and keys", "heartbeats"), ("S3", "store"))


def draw(columns: list[Column], path: Path) -> None:
    """Left what the control plane is made of, right what it is beside heartbeats and the store, on a logarithmic axis."""
    mpl.use("Agg")
    from matplotlib import pyplot  # the backend has to be chosen first: there may be no screen

    figure, (parts, whole) = pyplot.subplots(1, 2, figsize=(14, 5.5), layout="constrained")
    names = [column.name.replace(" ", "\n") for column in columns]
    _stack(parts, names, columns)
    _group(whole, names, columns)
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=_DPI)
    pyplot.close(figure)


def _stack(axis: Any, names: list[str], columns: list[Column]) -> None:
    bottom = [0.0] * len(columns)
    for item in (each for each in PER_MILLION if each not in STORE):
        heights = [column.line(item) for column in columns]
        axis.bar(names, heights, bottom=bottom, label=str(item))
        bottom = [below + height for below, height in zip(bottom, heights, strict=True)]
    axis.set(title="control plane, without heartbeats and S3", ylabel="dollars per million units", ylim=(0, 1.05 * max(bottom)))
    axis.legend(fontsize="small")


def _group(axis: Any, names: list[str], columns: list[Column]) -> None:
    width = 0.8 / len(_SHARES)
    for number, (label, name) in enumerate(_SHARES):
        places = [at + (number - 1) * width for at in range(len(columns))]
        axis.bar(places, [getattr(column, name) for column in columns], width=width, label=label)
    axis.set_xticks(range(len(columns)), names)
    axis.set(title="beside heartbeats and S3", yscale="log", ylim=(1, None))
    axis.grid(alpha=0.3, axis="y")
    axis.legend(fontsize="small")
