"""Conditions of claiming and settling, taken out of the program one by one: the fault suite has to notice each."""

import json
import os
import subprocess
import sys

import pytest

from bench.mutants.named import NAMED, mutant_of
from local.layout import REPO_ROOT


@pytest.fixture(scope="module")
def noticed() -> dict[str, str]:
    """In a process of its own, because mutants run in copies of the process that loaded the program."""
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    command = [sys.executable, "-m", "bench.mutants.named"]
    said = subprocess.run(command, env=environment, cwd=REPO_ROOT, capture_output=True, text=True, check=False)
    assert said.returncode == 0, said.stderr
    answer: dict[str, str] = json.loads(said.stdout.splitlines()[-1])
    return answer


@pytest.mark.parametrize("named", NAMED, ids=lambda named: named.name)
def test_it_is_noticed(noticed: dict[str, str], named: object) -> None:
    assert noticed[named.name], f"nothing notices {mutant_of(named)}"  # type: ignore[attr-defined,arg-type]
