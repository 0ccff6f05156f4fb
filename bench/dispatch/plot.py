"""Rates in memory and times beside bare calls, as a picture."""

from pathlib import Path
from typing import Any

import matplotlib as mpl


def draw_dispatch(path: Path, memory: dict[str, Any], stack: dict[str, Any]) -> None:
    """Left every window's rate by the number of processes, right every lifecycle beside the time of its AWS calls alone."""
    mpl.use("Agg")
    from matplotlib import pyplot  # the backend has to be chosen first: there may be no screen

    figure, (rates, times) = pyplot.subplots(1, 2, figsize=(11, 4.2), layout="constrained")
    _draw_rates(rates, memory)
    _draw_times(times, stack)
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=110)
    pyplot.close(figure)


def _draw_rates(axis: Any, memory: dict[str, Any]) -> None:
    names, windows = list(memory["rates"]), [each["windows"] for each in memory["rates"].values()]
    axis.boxplot(windows, tick_labels=[f"{name} process" if name == "1" else f"{name} processes" for name in names])
    for at, values in enumerate(windows, start=1):
        axis.plot([at] * len(values), values, marker="o", linestyle="", alpha=0.4, markersize=4)
    axis.axhline(
        memory["target"], color="black", linestyle="--", linewidth=1, label=f"target on two cores: {memory['target']:,}"
    )
    axis.set(title="in memory", ylabel="lifecycles a second, all together", ylim=(0, None))
    axis.legend(fontsize="small")
    axis.grid(alpha=0.3, axis="y")


def _draw_times(axis: Any, stack: dict[str, Any]) -> None:
    ours, theirs = zip(*stack["pairs"], strict=True)
    longest = max(*ours, *theirs)
    axis.plot(theirs, ours, marker="o", linestyle="", alpha=0.5, markersize=4)
    axis.plot([0, longest], [0, longest], color="grey", linewidth=1, label="as fast as its calls")
    edge = [0, longest / stack["target"]]
    axis.plot([0, longest], edge, color="black", linestyle="--", linewidth=1, label=f"target: ratio {stack['target']}")
    axis.set(
        title=f"on the local stack, median ratio {stack['ratio']:.2f}",
        xlabel="ms of the same AWS calls, sent bare",
        ylabel="ms of a lifecycle",
        xlim=(0, longest),
        ylim=(0, longest * 1.1),
    )
    axis.legend(fontsize="small", loc="upper left")
    axis.grid(alpha=0.3)
