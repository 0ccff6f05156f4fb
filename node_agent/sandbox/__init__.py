"""Running a stranger's unit in isolation: the port, its real adapter and its scripted twin."""

from node_agent.sandbox.sandbox import (
    Limits,
    NeedFile,
    NeedInput,
    OnOutput,
    OutcomeStatus,
    OutputFile,
    RunningUnit,
    Sandbox,
    UnitFiles,
    UnitOutcome,
    UnitSpec,
    Usage,
)

__all__ = [
    "Limits",
    "NeedFile",
    "NeedInput",
    "OnOutput",
    "OutcomeStatus",
    "OutputFile",
    "RunningUnit",
    "Sandbox",
    "UnitFiles",
    "UnitOutcome",
    "UnitSpec",
    "Usage",
]
