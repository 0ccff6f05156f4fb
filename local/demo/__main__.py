"""``python -m local.demo [EXAMPLE]``: the stack and two nodes come up, a model is trained, and what came of it is shown.

Leaves ``.local/demo-report.json`` and ``.local/learning-curve.png``, stops what it started, and exits with 0 only when the
job was completed and the ledger adds up.
"""

import argparse
import json
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

from rich.console import Console
from rich.live import Live
from rich.table import Table

from examples.build import DATASETS
from local import bringup, process
from local.bringup import LocalStack, Wishes
from local.demo.client import ApiError, CustomerClient
from local.demo.probe import measure_dispatch
from local.demo.report import build_report, draw_curve, selection_of
from local.demo.screen import render
from local.demo.session import StuckError, Watched, submit_example, watch
from local.deploy import DeployError
from local.layout import DEFAULT_LAYOUT, Layout
from local.nodes import Node, NodeError, start_node
from local.process import EmulatorError
from local.seed import SeedError
from local.synth import SynthError
from local.toolchain import ToolchainError

Json = dict[str, Any]

_NODES = ("north", "south")
_PROBES = 5
_WIDE, _SHA256_DIGITS, _FEW_DIGITS = 130, 64, 16
_FAILURES = (
    ApiError, DeployError, EmulatorError, NodeError, SeedError, StuckError, SynthError, ToolchainError,
)  # fmt: skip


def main() -> int:
    options = _options()
    console = Console(soft_wrap=False)
    try:
        return _demo(options, DEFAULT_LAYOUT, console)
    except KeyboardInterrupt:
        console.print("[yellow]interrupted[/]; everything that was started has been stopped")
        return 130
    except _FAILURES as error:
        console.print(f"[bold red]the demo failed:[/] {error}")
        return 1


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="make demo", description="Train an example on two local nodes.")
    parser.add_argument("example", nargs="?", default="digits-mlp", choices=sorted(DATASETS))
    parser.add_argument("--probes", type=int, default=_PROBES, help="jobs that measure the dispatch latency beforehand")
    return parser.parse_args()


def _demo(options: argparse.Namespace, layout: Layout, console: Console) -> int:
    with ExitStack() as cleanup:
        stack = cleanup.enter_context(_stack(layout, console))
        nodes = cleanup.enter_context(_nodes(layout, stack, console))
        client = CustomerClient(api=stack.variables["GPU_AGENT_API"], key=stack.variables["GPU_AGENT_API_KEY"])
        job = submit_example(client, options.example, layout.home / "demo")
        console.print(f"submitted [bold]{job['name']}[/], quoted at most {job['quote']['credits']} credits")
        seen = _watch(client, job, nodes, console)
        dispatch = _probe(client, job, options.probes, console)
        report = build_report(client, seen, dispatch=dispatch)
        report["selection"] = selection_of(client, seen, report["artifacts"])
        curve = layout.home / "learning-curve.png"
        drawn = draw_curve(client, seen, report["artifacts"], curve)
        path = layout.home / "demo-report.json"
        path.write_text(json.dumps(report, indent=2) + "\n")
        _print_result(report, console)
        console.print(f"report: {path}" + (f"\nlearning curve: {curve}" if drawn else ""))
        return 0 if all(report["checks"].values()) else 1


@contextmanager
def _stack(layout: Layout, console: Console) -> Iterator[LocalStack]:
    """The running stack, or one of our own that is stopped afterwards."""
    was_running = process.find_running(layout) is not None
    layout.home.mkdir(parents=True, exist_ok=True)
    stack = bringup.bring_up(layout=layout, wishes=Wishes(), say=lambda text: console.print(f"[dim]{text}[/]"))
    try:
        yield stack
    finally:
        if not was_running:
            bringup.take_down(layout=layout, say=lambda text: console.print(f"[dim]{text}[/]"))


@contextmanager
def _nodes(layout: Layout, stack: LocalStack, console: Console) -> Iterator[list[Node]]:
    with ExitStack() as cleanup:
        nodes = []
        for name in _NODES:
            node = start_node(name, home=layout.home, stack=stack.variables)
            cleanup.callback(node.stop)
            nodes.append(node)
            console.print(f"[dim]node {name} is paired and polls; its log: {node.log}[/]")
        yield nodes


def _watch(client: CustomerClient, job: Json, nodes: list[Node], console: Console) -> Watched:
    """Shows the job live on a terminal, and as one line per change where there is none."""
    lines: dict[str, str] = {}
    with Live(console=console, refresh_per_second=8, transient=False) as live:

        def show(seen: Watched) -> None:
            for node in nodes:
                node.check()
            if console.is_terminal:
                live.update(render(seen.job, seen.units, seen.running_losses))
            else:
                _print_changes(seen, lines, console)

        seen = watch(client, job, on_change=show)
        if not console.is_terminal:
            live.update(render(seen.job, seen.units, seen.running_losses))
    if not console.is_terminal:
        console.line()  # without a terminal the last picture is printed without its end of line
    return seen


def _print_changes(seen: Watched, lines: dict[str, str], console: Console) -> None:
    for unit in seen.units:
        line = f"{unit['name']}: {unit['status']}" + (f" on {unit['node']}" if unit["node"] else "")
        if lines.get(unit["id"]) != line:
            lines[unit["id"]] = line
            console.print(line)


def _probe(client: CustomerClient, job: Json, count: int, console: Console) -> list[float]:
    console.print(f"[dim]measuring dispatch with {count} jobs that are cancelled once they run[/]")
    template = {
        "dataset_id": job["dataset_id"],
        "training_package_id": job["training_package_id"],
        "required_vram_mb": 0,
        "max_runtime_seconds": 60,
        "sensitivity": "public",
    }
    return measure_dispatch(client, template, count=count)


def _print_result(report: Json, console: Console) -> None:
    job, credits, timings = report["job"], report["credits"], report["timings"]
    table = Table(title="artifacts", title_justify="left", box=None, padding=(0, 2, 0, 0), header_style="dim")
    for heading in ("unit", "name", "kind", "bytes", "sha256"):
        table.add_column(heading, no_wrap=True, justify="right" if heading == "bytes" else "left")
    names = {unit["id"]: unit["name"] for unit in report["units"]}
    # The report has the whole digest; a narrow terminal shows enough of it to compare.
    digits = _SHA256_DIGITS if console.width >= _WIDE else _FEW_DIGITS
    for one in report["artifacts"]:
        table.add_row(names[one["unit_id"]], one["name"], one["kind"], f"{one['size_bytes']:,}", one["sha256"][:digits])
    console.print(table)
    if job["failure"]:
        console.print(f"[bold red]{job['failure']['code']}[/] ({job['failure']['blame']}): {job['failure']['message']}")
    if report["selection"]:
        _print_selection(report, console)
    if report["accuracy"] is not None:
        console.print(f"accuracy [bold green]{report['accuracy']:.4f}[/]")
    console.print(f"credits  spent {credits['spent']} of {credits['quoted']} quoted, {credits['released']} released")
    warm = timings["warm_submit_to_first_unit_running"]
    console.print(f"submit → first unit running: p50 {warm['p50_seconds']} s over {len(warm['samples'])} warm jobs")
    for name, kept in report["checks"].items():
        console.print(f"{'[green]✔[/]' if kept else '[bold red]✘[/]'} {name.replace('_', ' ')}")


def _print_selection(report: Json, console: Console) -> None:
    """Every lane of the sweep with its parameters, the best one marked."""
    selection = report["selection"]
    parameters = {unit["name"]: unit["parameters"] for unit in report["units"]}
    table = Table(title="sweep", title_justify="left", box=None, padding=(0, 2, 0, 0), header_style="dim")
    for heading in ("", "lane", "parameters", selection["objective"]):
        table.add_column(heading)
    for lane in selection["lanes"]:
        best = lane["lane"] == selection["selected"]
        chosen = ", ".join(f"{name}={value}" for name, value in parameters.get(f"train_{lane['lane']}", {}).items())
        measured = lane["metrics"].get(selection["objective"])
        table.add_row("✔" if best else "", lane["lane"], chosen, f"{measured}", style="bold green" if best else None)
    console.print(table)


if __name__ == "__main__":
    sys.exit(main())
