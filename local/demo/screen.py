"""What the demo shows: pure functions from what the API answered to something to look at."""

from typing import Any

from rich.console import Group, RenderableType
from rich.panel import Panel
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

Json = dict[str, Any]

_STYLE = {
    "waiting": "dim",
    "queued": "yellow",
    "running": "bold cyan",
    "completed": "green",
    "failed": "bold red",
    "rejected": "bold red",
    "cancelled": "magenta",
}
_MARK = {
    "waiting": "·",
    "queued": "◔",
    "running": "▶",
    "completed": "✔",
    "failed": "✘",
    "rejected": "✘",
    "cancelled": "■",
}
_BARS = "▁▂▃▄▅▆▇█"
_SPARK_WIDTH = 40
# The first of these that a unit reports is its loss.
_LOSSES = ("train_loss", "loss", "validation_loss")


def render(job: Json, units: list[Json], losses: dict[str, list[float]]) -> RenderableType:
    """The whole screen: the job's bar, its units in order of the DAG, and the loss of each running unit so far."""
    curves = [Text(f"{name}  loss {sparkline(seen)} {seen[-1]:.4f}", style="cyan") for name, seen in losses.items()]
    parts = [_bar(job, units), _table(units), *curves]
    return Panel(Group(*parts), title=f"training job {job['name']} · {job['status']}", subtitle=job["id"])


def _bar(job: Json, units: list[Json]) -> RenderableType:
    total = max(len(units), job["progress"]["units_total"], 1)
    done = sum(1.0 if unit["status"] == "completed" else (fraction_of(unit) or 0.0) for unit in units)
    grid = Table.grid(padding=(0, 1))
    spent = sum(unit.get("credits") or 0 for unit in units)
    label = f"{job['progress']['units_completed']}/{total} units · {spent} of at most {job['quote']['credits']} credits"
    grid.add_row(ProgressBar(total=total, completed=done, width=40), Text(label))
    return grid


def _table(units: list[Json]) -> Table:
    """One line per unit, indented by its depth in the DAG. What a narrow terminal cannot hold is cut from the right."""
    table = Table(box=None, padding=(0, 2, 0, 0), header_style="dim", expand=True)
    for heading in ("unit", "kind", "status", "try", "node", "done"):
        table.add_column(heading, no_wrap=True, min_width=4)
    table.add_column("needs", no_wrap=True, max_width=24)
    table.add_column("latest", no_wrap=True, ratio=1)
    names = {unit["id"]: unit["name"] for unit in units}
    depths = depths_of(units)
    for unit in units:
        style = _STYLE[unit["status"]]
        fraction = fraction_of(unit)
        table.add_row(
            Text(f"{'  ' * depths[unit['id']]}{_MARK[unit['status']]} {unit['name']}", style=style),
            unit["kind"],
            Text(unit["status"], style=style),
            str(unit["attempt"] or ""),
            unit["node"] or "",
            f"{fraction:.0%}" if fraction is not None else "",
            _shortened([names.get(need, need) for need in unit["needs"]]),
            _latest(unit),
        )
    return table


def depths_of(units: list[Json]) -> dict[str, int]:
    """The longest way from a unit back to one that needs nothing. Units come in an order where needs come first."""
    depths: dict[str, int] = {}
    for unit in units:
        depths[unit["id"]] = max((depths[need] + 1 for need in unit["needs"]), default=0)
    return depths


def fraction_of(unit: Json) -> float | None:
    """How far a unit is, 0 to 1, when it says so."""
    fraction = (unit.get("progress") or {}).get("fraction")
    return float(fraction) if fraction is not None else None


def loss_of(unit: Json) -> float | None:
    """A unit's latest loss, whatever its script calls it."""
    metrics = (unit.get("progress") or {}).get("metrics") or {}
    return next((float(metrics[name]) for name in _LOSSES if name in metrics), None)


def sparkline(values: list[float]) -> str:
    """The last values as a line of bars."""
    shown = values[-_SPARK_WIDTH:]
    low, high = min(shown), max(shown)
    span = (high - low) or 1.0
    return "".join(_BARS[round((value - low) / span * (len(_BARS) - 1))] for value in shown)


def _shortened(needs: list[str]) -> str:
    return ", ".join(needs) if len(needs) <= 2 else f"{needs[0]}, … ({len(needs)})"


def _latest(unit: Json) -> str:
    if unit.get("failure"):
        return str(unit["failure"]["code"])
    progress = unit.get("progress") or {}
    metrics = progress.get("metrics") or {}
    shown = [f"{name}={value:.4g}" for name, value in metrics.items() if name not in ("epoch", "epochs", "progress")]
    return " ".join(shown[:3]) or str(progress.get("stage") or "")
