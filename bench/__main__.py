"""``make bench``: every measurement, its table on the terminal and its figures in ``.local/bench.json``."""

import json
import os
import platform
from datetime import UTC, datetime

from bench.agent import run as agent
from bench.api import calls
from bench.api import run as api
from bench.cost import run as cost
from bench.dispatch import run as dispatch
from bench.dispatch import scale
from bench.fairness import run as fairness
from bench.simulate import run as simulation
from local.layout import DEFAULT_LAYOUT


def main() -> None:
    print("median [10th, 90th percentile]; ratios are of neighbours in time")
    figures = {
        "taken_at": datetime.now(UTC).isoformat(timespec="seconds"),
        "machine": {"cores": os.cpu_count(), "python": platform.python_version(), "platform": platform.platform()},
        "api": api.run(),
        "api_beside_aws_calls": calls.run(),
        "dispatch": dispatch.run(),
        "scale": scale.run(),
        "simulation": simulation.run(),
        "noisy_neighbour": fairness.run(),
        "agent": agent.run(),
        "cost": cost.run(),
    }
    path = DEFAULT_LAYOUT.home / "bench.json"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(figures, indent=2) + "\n")
    print(f"figures: {path}")


if __name__ == "__main__":
    main()
