"""The port for a package's Python environment, and what can go wrong with one."""

import threading
from pathlib import Path
from typing import Protocol


class EnvironmentFailedError(Exception):
    """The package's environment cannot be built; the sentence is for the customer. Ends as ENVIRONMENT_FAILED."""


class EnvironmentAbandonedError(Exception):
    """The stop event was set before the environment was finished. Nothing is left behind."""


class Environments(Protocol):
    """Python environments for packages, built once per set of requirements."""

    def for_package(self, package: Path, *, requirements: str | None, stop: threading.Event) -> Path:
        """The folder of a finished environment for the zip ``package``; mount it at this very path.

        ``requirements`` names the requirements file inside the zip, None means that the package needs nothing. Raises
        EnvironmentFailedError when the package asks for something that is refused or cannot be had, and
        EnvironmentAbandonedError when ``stop`` was set meanwhile.
        """
        ...
