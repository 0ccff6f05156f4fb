"""Runs an example's scripts as the platform does: from an unpacked package, in folders named by SM_* variables."""

import json
import os
import subprocess
import sys
import tomllib
import zipfile
from pathlib import Path
from typing import Any

from examples.build import build


class Sandbox:
    """The folders of one lane. ``train`` and ``evaluate`` return the metric lines that the script printed."""

    def __init__(self, example: str, root: Path) -> None:
        self.root = root
        built = build(example, root / "data" / "training")
        self.code = root / "code"
        with zipfile.ZipFile(built.package_path) as archive:
            archive.extractall(self.code)
        built.package_path.unlink()
        self.manifest = tomllib.loads((self.code / "gpu-agent.toml").read_text(encoding="utf-8"))
        self.model, self.output, self.checkpoints = root / "model", root / "output", root / "checkpoints"

    def environment(self) -> dict[str, str]:
        return {
            "PATH": os.environ["PATH"],
            "SM_CHANNEL_TRAINING": str(self.root / "data" / "training"),
            "SM_MODEL_DIR": str(self.model),
            "SM_OUTPUT_DATA_DIR": str(self.output),
            "SM_CHECKPOINT_DIR": str(self.checkpoints),
            "SM_NUM_CPUS": "1",
        }

    def command(self, entry: str, parameters: dict[str, Any]) -> list[str]:
        chosen = {**self.manifest["parameters"], **parameters}
        arguments = [word for name, value in chosen.items() for word in (f"--{name}", str(value))]
        return [sys.executable, entry, *arguments]

    def train(self, **parameters: Any) -> list[dict[str, float]]:
        return self._run(self.command(self.manifest["package"]["entry"], parameters), self.environment())

    def evaluate(self, **parameters: Any) -> list[dict[str, float]]:
        """As its own unit: the trained model comes as a channel, and the model folder is another one."""
        environment = self.environment() | {"SM_CHANNEL_MODEL": str(self.model), "SM_MODEL_DIR": str(self.root / "none")}
        return self._run(self.command(self.manifest["evaluate"]["entry"], parameters), environment)

    def _run(self, command: list[str], environment: dict[str, str]) -> list[dict[str, float]]:
        done = subprocess.run(command, cwd=self.code, env=environment, capture_output=True, text=True, timeout=120)
        assert done.returncode == 0, done.stderr
        assert done.stderr == ""
        return [json.loads(line) for line in done.stdout.splitlines() if line.startswith("{")]
