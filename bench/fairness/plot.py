"""How many of the small customers' units have waited how long, as a picture."""

from collections.abc import Mapping
from pathlib import Path

import matplotlib as mpl

Lines = Mapping[str, list[float]]


def draw_waits(path: Path, panels: Mapping[str, Lines], *, title: str) -> None:
    """A panel per crowd, a line per way; ``panels`` holds sorted waits in seconds."""
    mpl.use("Agg")
    from matplotlib import pyplot  # the backend has to be chosen first: there may be no screen

    figure, axes = pyplot.subplots(1, len(panels), figsize=(5.5 * len(panels), 4), squeeze=False, sharey=True)
    for axis, (name, lines) in zip(axes[0], panels.items(), strict=True):
        for label, waits in lines.items():
            shares = [100 * (at + 1) / len(waits) for at in range(len(waits))]
            axis.step([max(wait, 0.1) for wait in waits], shares, label=label, where="post", linewidth=1.5)
        axis.set(xlabel="seconds from release to claim", title=f"small customers come {name}", xscale="log")
        axis.grid(alpha=0.3, which="both")
    axes[0][0].set_ylabel("% of their units that waited no longer")
    axes[0][0].legend(fontsize="small", loc="upper left")
    figure.suptitle(title)
    figure.tight_layout()
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=110)
    pyplot.close(figure)
