"""Where everything lies inside the sandbox. One object, so that tests can put the same tree anywhere."""

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Folders:
    """``ml`` is the SageMaker tree; ``inputs`` holds the agent's read-only downloads; ``outbox`` is what it collects."""

    ml: Path = Path("/opt/ml")
    inputs: Path = Path("/opt/gpupool/inputs")
    outbox: Path = Path("/opt/gpupool/outbox")

    @property
    def code(self) -> Path:
        return self.ml / "code"

    @property
    def config(self) -> Path:
        return self.ml / "input" / "config"

    @property
    def channels(self) -> Path:
        return self.ml / "input" / "data"

    @property
    def training(self) -> Path:
        return self.channels / "training"

    @property
    def model(self) -> Path:
        return self.ml / "model"

    @property
    def output(self) -> Path:
        return self.ml / "output"

    @property
    def output_data(self) -> Path:
        return self.ml / "output" / "data"

    @property
    def checkpoints(self) -> Path:
        return self.ml / "checkpoints"

    @property
    def package(self) -> Path:
        return self.inputs / "package.zip"

    @property
    def dataset(self) -> Path:
        return self.inputs / "dataset"

    def need(self, unit_name: str) -> Path:
        """The channel of a needed unit."""
        return self.channels / unit_name

    def need_file(self, unit_name: str, file_name: str) -> Path:
        """A needed unit's artifact as it was downloaded."""
        return self.inputs / "needs" / unit_name / file_name

    def create(self) -> None:
        """Makes the writable folders; existing ones stay."""
        for folder in (self.code, self.training, self.model, self.output_data, self.checkpoints, self.outbox):
            folder.mkdir(parents=True, exist_ok=True)
