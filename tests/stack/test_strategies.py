"""Sweeps and DAGs, whose units run in the order of their needs."""

import json
from pathlib import Path

import pytest

from tests.stack import packages
from tests.stack.customers import Customer, Json, check_books
from tests.stack.machines import Machines

pytestmark = pytest.mark.stack

SWEEP = """
    [package]
    entry = "train.py"
    [parameters]
    rate = 0.5
    width = 1
    [evaluate]
    entry = "evaluate.py"
    [strategy]
    kind = "sweep"
    [sweep]
    objective = "score"
    goal = "maximize"
    grid = {rate = [0.5, 0.25], width = [1, 2]}
"""
# What a lane trained with becomes its model; its evaluation measures that model, so the best is known beforehand.
SWEEP_TRAIN = """
    import os, sys
    given = dict(zip(sys.argv[1::2], sys.argv[2::2]))
    open(os.environ["SM_MODEL_DIR"] + "/model.txt", "w").write(given["--rate"] + " " + given["--width"])
"""
SWEEP_EVALUATE = """
    import json, os
    rate, width = open(os.environ["SM_CHANNEL_MODEL"] + "/model.txt").read().split()
    print(json.dumps({"score": int(width) - float(rate)}), flush=True)
"""

DAG = """
    [strategy]
    kind = "dag"
    [[units]]
    name = "blend"
    entry = "blend.py"
    kind = "cpu"
    needs = ["small", "large"]
    [[units]]
    name = "features"
    entry = "features.py"
    kind = "cpu"
    [[units]]
    name = "small"
    entry = "fit.py"
    needs = ["features"]
    parameters = {times = 2}
    max_runtime_seconds = 30
    [[units]]
    name = "large"
    entry = "fit.py"
    needs = ["features"]
    parameters = {times = 30}
    [parameters]
    times = 1
"""
FEATURES = """
    import os, pathlib
    rows = next(pathlib.Path(os.environ["SM_CHANNEL_TRAINING"]).iterdir()).read_text().split()
    pathlib.Path(os.environ["SM_OUTPUT_DATA_DIR"], "sum.txt").write_text(str(sum(map(int, rows))))
"""
FIT = """
    import json, os, pathlib
    total = int(pathlib.Path("/opt/ml/input/data/features/output/sum.txt").read_text())
    fitted = total * json.loads(os.environ["SM_HPS"])["times"]
    pathlib.Path(os.environ["SM_MODEL_DIR"], "fit.txt").write_text(str(fitted))
"""
BLEND = """
    import os, pathlib
    needs = (pathlib.Path("/opt/ml/input/data", name, "model", "fit.txt") for name in ("small", "large"))
    blended = sum(int(path.read_text()) for path in needs)
    pathlib.Path(os.environ["SM_MODEL_DIR"], "blend.txt").write_text(str(blended))
"""


@pytest.fixture(scope="module")
def jobs(customer: Customer, machines: Machines, desk: Path) -> dict[str, Json]:
    """A sweep and a DAG, side by side."""
    sweep = packages.package(train_py=SWEEP_TRAIN, evaluate_py=SWEEP_EVALUATE, gpu_agent_toml=SWEEP)
    dag = packages.package(features_py=FEATURES, fit_py=FIT, blend_py=BLEND, gpu_agent_toml=DAG)
    return {"sweep": customer.train(sweep, desk, name="sweep"), "dag": customer.train(dag, desk, name="dag")}


def started_after_needs(units: list[Json]) -> bool:
    finished = {unit["id"]: unit["finished_at"] for unit in units}
    return all(finished[need] <= unit["started_at"] for unit in units for need in unit["needs"])


def test_sweep_selects_the_best_lane(customer: Customer, jobs: dict[str, Json]) -> None:
    job = customer.ended(jobs["sweep"])

    assert job["status"] == "completed", job
    units = {unit["name"]: unit for unit in customer.client.units(job["id"])}
    lanes = [f"{role}_{lane:03d}" for lane in range(4) for role in ("train", "evaluate")]
    assert set(units) == {"prepare", "select", *lanes}
    scores = [units[f"evaluate_{lane:03d}"]["progress"]["metrics"]["score"] for lane in range(4)]
    assert scores == [0.5, 1.5, 0.75, 1.75]
    selection = json.loads(packages.unpacked(customer.artifact(job, "select", "output.tar.gz"))["selection.json"])
    assert (selection["objective"], selection["goal"]) == ("score", "maximize")
    assert selection["selected"] in {"train_003", "evaluate_003", "003"}
    assert packages.unpacked(customer.artifact(job, "select", "model.tar.gz"))["model.txt"] == b"0.25 2"
    assert units["select"]["progress"]["metrics"]["score"] == 1.75
    assert started_after_needs(list(units.values()))
    assert len(check_books(customer, job)) == 1 + 10 + 1


def test_dag_passes_outputs_along_its_needs(customer: Customer, jobs: dict[str, Json]) -> None:
    job = customer.ended(jobs["dag"])

    assert job["status"] == "completed", job
    units = {unit["name"]: unit for unit in customer.client.units(job["id"])}
    assert {name: unit["kind"] for name, unit in units.items()} == {
        "features": "cpu",
        "small": "gpu",
        "large": "gpu",
        "blend": "cpu",
    }
    assert set(units["blend"]["needs"]) == {units["small"]["id"], units["large"]["id"]}
    assert started_after_needs(list(units.values()))
    assert packages.unpacked(customer.artifact(job, "blend", "model.tar.gz"))["blend.txt"] == b"320"
    check_books(customer, job)


def test_parameters_of_a_job_reach_the_script(customer: Customer, machines: Machines, desk: Path) -> None:
    source = f"""
        import json, os, sys
        print(json.dumps({{"seen": json.loads(os.environ["SM_HPS"])["epochs"]}}))
        print("arguments", sys.argv[1:])
        {packages.MODEL}
    """
    manifest = """
        [package]
        entry = "train.py"
        [parameters]
        epochs = 3
        optimizer = "sgd"
        [train]
        args = ["--quiet"]
    """
    package = packages.package(train_py=source, gpu_agent_toml=manifest)

    job = customer.ended(customer.train(package, desk, parameters={"epochs": 7}))

    assert job["status"] == "completed", job
    assert job["parameters"] == {"epochs": 7}
    assert customer.unit(job, "train")["progress"]["metrics"]["seen"] == 7
    log = customer.artifact(job, "train", "log.txt").decode()
    assert "'--quiet', '--epochs', '7', '--optimizer', 'sgd'" in log
