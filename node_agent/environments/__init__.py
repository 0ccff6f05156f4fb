"""Building and keeping the Python environments that packages ask for."""

from node_agent.environments.environments import EnvironmentAbandonedError, EnvironmentFailedError, Environments
from node_agent.environments.store import EnvironmentStore

__all__ = ["EnvironmentAbandonedError", "EnvironmentFailedError", "EnvironmentStore", "Environments"]
