"""Steps as the state machine carries them: ``{"outcome", "cursor", "steps", "generation"}`` under ``$.step``."""

from collections.abc import Mapping
from typing import Any

from gpupool.workflow.model import Outcome, Step


def step_from(state: Mapping[str, Any]) -> Step:
    return Step(Outcome(state["outcome"]), str(state["cursor"]), int(state["steps"]), state.get("generation"))


def step_state(step: Step) -> dict[str, Any]:
    return {"outcome": str(step.outcome), "cursor": step.cursor, "steps": step.steps, "generation": step.generation}
