"""Host checks, one file each: what keeps a machine from serving, and what to do about it."""

from node_agent.checks.base import Finding, Level
from node_agent.checks.clock import check_clock
from node_agent.checks.disk import check_disk
from node_agent.checks.gpu import check_gpu
from node_agent.checks.sandbox import check_sandbox

__all__ = ["Finding", "Level", "check_clock", "check_disk", "check_gpu", "check_sandbox"]
