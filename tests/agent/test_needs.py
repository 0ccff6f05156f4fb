"""Units with more needs than one answer holds, and select, which reads one lane of many."""

import pytest

from gpupool.wire import units as wire
from gpupool.wire.errors import NodeErrorCode
from gpupool.wire.failures import FailureCode
from gpupool.wire.vocabulary import ArtifactKind, UnitRole
from node_agent.errors import UnitFailedError
from node_agent.selection import Trial, select
from tests.agent.fake_control_plane import FakeControlPlane, unit_id
from tests.agent.fake_http import UNAVAILABLE, refused
from tests.agent.harness import AgentInThread, eventually


def a_need(
    plane: FakeControlPlane, index: int, name: str, role: UnitRole = UnitRole.TRAIN, measured: float | None = None
) -> wire.NeedInput:
    model = wire.NeedOutput(name="model.tar.gz", kind=ArtifactKind.MODEL, download=plane.store(name.encode()))
    return wire.NeedInput(unit_name=name, role=role, outputs=[model], unit_id=unit_id(index), measured=measured)


def test_needs_are_fetched_page_by_page_in_their_order(control_plane: FakeControlPlane, agent: AgentInThread) -> None:
    control_plane.needs_per_page = 2
    needs = [a_need(control_plane, index, f"u{index}", UnitRole.RUN) for index in range(5)]
    unit = control_plane.add_unit(9, role=UnitRole.RUN, needs=needs)
    agent.start()
    eventually(lambda: unit.completed)
    brought = agent.sandbox.started[0].spec.needs
    assert [(need.unit_name, need.files[0].path.read_bytes()) for need in brought] == [
        (f"u{index}", f"u{index}".encode()) for index in range(5)
    ]
    assert [asked.cursor for asked in control_plane.listed] == ["2", "4"]


def test_a_page_is_asked_for_when_the_one_before_is_here(control_plane: FakeControlPlane, agent: AgentInThread) -> None:
    control_plane.needs_per_page = 2
    control_plane.url_uses = 3  # the package and two needs; a URL of the last page would be refused by then
    needs = [a_need(control_plane, index, f"u{index}", UnitRole.RUN) for index in range(5)]
    unit = control_plane.add_unit(9, role=UnitRole.RUN, needs=needs)
    agent.start()
    eventually(lambda: unit.completed)
    assert [asked.cursor for asked in control_plane.listed] == ["2", "4"], "no URL had to be renewed"


def test_urls_are_renewed_for_the_page_that_is_being_fetched(control_plane: FakeControlPlane, agent: AgentInThread) -> None:
    control_plane.needs_per_page = 3
    control_plane.url_uses = 2
    needs = [a_need(control_plane, index, f"u{index}", UnitRole.RUN) for index in range(6)]
    unit = control_plane.add_unit(9, role=UnitRole.RUN, needs=needs)
    agent.start()
    eventually(lambda: unit.completed)
    assert len(agent.sandbox.started[0].spec.needs) == 6
    assert [asked.cursor for asked in control_plane.listed] == [None, "3", "3"]


@pytest.mark.parametrize(("goal", "winner"), [("maximize", 2), ("minimize", 0)])
def test_select_fetches_the_best_lane_alone(
    control_plane: FakeControlPlane, agent: AgentInThread, goal: str, winner: int
) -> None:
    control_plane.needs_per_page = 3
    needs = []
    for lane, measured in enumerate((0.1, 0.5, 0.9, None)):
        needs.append(a_need(control_plane, 2 * lane, f"train_{lane:03d}", measured=7.0 if measured else None))
        needs.append(a_need(control_plane, 2 * lane + 1, f"evaluate_{lane:03d}", UnitRole.EVALUATE, measured))
    unit = control_plane.add_unit(9, role=UnitRole.SELECT, entry=None, needs=needs, objective="accuracy", goal=goal)
    agent.start()
    eventually(lambda: unit.completed)
    spec = agent.sandbox.started[0].spec
    assert [need.unit_name for need in spec.needs] == [f"train_{winner:03d}", f"evaluate_{winner:03d}"]
    assert spec.selection == {
        "objective": "accuracy",
        "goal": goal,
        "selected": f"{winner:03d}",
        "lanes": [
            {"lane": f"{lane:03d}", "units": [f"train_{lane:03d}", f"evaluate_{lane:03d}"], "metrics": metrics}
            for lane, metrics in enumerate([{"accuracy": 0.1}, {"accuracy": 0.5}, {"accuracy": 0.9}, {}])
        ],
    }
    assert [(asked.cursor, asked.outputs) for asked in control_plane.listed] == [("3", False), ("6", False), (None, True)]
    assert control_plane.calls["get"] == 3, "the package and two files; no dataset, nothing of other lanes"


def test_a_renewed_url_of_the_best_lane_is_one_of_the_same_needs(control_plane: FakeControlPlane, agent: AgentInThread) -> None:
    control_plane.url_uses = 1
    needs = [a_need(control_plane, index, f"train_{index:03d}", measured=float(index)) for index in range(3)]
    needs.append(a_need(control_plane, 3, "evaluate_002", UnitRole.EVALUATE, measured=5.0))
    unit = control_plane.add_unit(9, role=UnitRole.SELECT, entry=None, needs=needs, objective="x", goal="maximize")
    agent.start()
    eventually(lambda: unit.completed)
    assert [asked.only for asked in control_plane.listed] == [[unit_id(2), unit_id(3)]] * 2


def test_a_sweep_that_nobody_measured_fails_as_the_scripts_fault(control_plane: FakeControlPlane, agent: AgentInThread) -> None:
    needs = [a_need(control_plane, 0, "train_000")]
    unit = control_plane.add_unit(9, role=UnitRole.SELECT, entry=None, needs=needs, objective="accuracy", goal="maximize")
    agent.start()
    report = eventually(lambda: unit.failures)[0]
    assert (report["code"], "accuracy" in report["message"]) == ("SCRIPT_FAILED", True)
    assert not agent.sandbox.started


def test_pages_are_asked_for_again_while_the_control_plane_is_away(
    control_plane: FakeControlPlane, agent: AgentInThread
) -> None:
    control_plane.needs_per_page = 1
    control_plane.trouble("inputs", UNAVAILABLE, UNAVAILABLE)
    needs = [a_need(control_plane, index, f"u{index}", UnitRole.RUN) for index in range(2)]
    unit = control_plane.add_unit(9, role=UnitRole.RUN, needs=needs)
    agent.start()
    eventually(lambda: unit.completed)
    assert control_plane.calls["inputs"] == 3


def test_a_page_that_is_refused_makes_the_inputs_unavailable(control_plane: FakeControlPlane, agent: AgentInThread) -> None:
    control_plane.needs_per_page = 1
    control_plane.trouble("inputs", refused(400, NodeErrorCode.VALIDATION_FAILED))
    needs = [a_need(control_plane, index, f"u{index}", UnitRole.RUN) for index in range(2)]
    unit = control_plane.add_unit(9, role=UnitRole.RUN, needs=needs)
    agent.start()
    assert eventually(lambda: unit.failures)[0]["code"] == "INPUT_UNAVAILABLE"


def trial(name: str, measured: float | None) -> Trial:
    return Trial(name, name, UnitRole(name.partition("_")[0]), measured)


@pytest.mark.parametrize(
    ("trials", "goal", "chosen"),
    [
        ([trial("train_0", 1.0), trial("train_1", 1.0)], "maximize", "0"),
        ([trial("train_1", 1.0), trial("train_0", 1.0)], "minimize", "0"),
        ([trial("train_0", 9.0), trial("evaluate_0", 1.0), trial("train_1", 2.0)], "maximize", "1"),
        ([trial("evaluate_0", 1.0), trial("train_0", 9.0), trial("train_1", 2.0)], "maximize", "1"),
        ([trial("train_0", 9.0), trial("evaluate_0", None), trial("train_1", 2.0)], "maximize", "0"),
        ([trial("train_0", None), trial("train_1", -1.0)], "maximize", "1"),
        ([trial("train_0", 0.0), trial("train_1", -1.0)], "minimize", "1"),
        ([trial("train", 0.5)], None, "train"),
    ],
)
def test_the_best_lane(trials: list[Trial], goal: str | None, chosen: str) -> None:
    assert select(trials, objective="x", goal=goal).document["selected"] == chosen


def test_no_lane_measured() -> None:
    with pytest.raises(UnitFailedError, match="'x'") as caught:
        select([trial("train_0", None)], objective="x", goal="maximize")
    assert caught.value.code is FailureCode.SCRIPT_FAILED
