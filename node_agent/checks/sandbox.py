"""Can this host isolate strangers' code?"""

from node_agent.checks.base import Finding, Level
from node_agent.sandbox import Sandbox


def check_sandbox(sandbox: Sandbox) -> list[Finding]:
    problems = sandbox.check()
    if not problems:
        return [Finding("sandbox", Level.OK, "units run isolated, without network")]
    return [Finding("sandbox", Level.PROBLEM, problem) for problem in problems]
