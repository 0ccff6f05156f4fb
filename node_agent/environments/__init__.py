"""Building and keeping the Python environments that packages ask for."""

from node_agent.environments.environments import EnvironmentAbandonedError, EnvironmentFailedError, Environments

__all__ = ["EnvironmentAbandonedError", "EnvironmentFailedError", "Environments"]
