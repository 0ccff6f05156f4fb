"""What a unit writes counts, also where it closes the folder behind itself. For an agent that is no root, closed is closed."""

import os
from pathlib import Path

import pytest

from gpupool.wire.failures import FailureCode
from node_agent.sandbox import disk
from tests.sandbox.lab import Lab

pytestmark = pytest.mark.sandbox


@pytest.mark.parametrize("mode", [0o000, 0o300, 0o400])
@pytest.mark.parametrize("closed", ["", "inner"], ids=["topmost", "nested"])
def test_a_closed_folder_does_not_count_as_nothing(tmp_path: Path, closed: str, mode: int) -> None:
    folder = tmp_path / "folder"
    (folder / "inner").mkdir(parents=True)
    (folder / "inner" / "data").write_bytes(bytes(1 << 20))
    (folder / closed).chmod(mode)
    try:
        if os.geteuid() == 0:
            assert disk.bytes_below(folder) >= 1 << 20
        else:
            with pytest.raises(disk.UnmeasurableError) as refused:
                disk.bytes_below(folder)
            assert str(tmp_path) not in str(refused.value)
    finally:
        (folder / closed).chmod(0o700)


@pytest.mark.parametrize("closed", ["/opt/ml", "/opt/ml/code/closed"])
def test_a_disk_bomb_in_a_closed_folder(lab: Lab, closed: str) -> None:
    run = lab.run(
        f"""
        os.makedirs("/opt/ml/code/closed", exist_ok=True)
        os.chmod({closed!r}, 0o300)
        for number in range(10):
            open(f"/opt/ml/code/closed/{{number}}", "wb").write(bytes(32 << 20))
        time.sleep(20)
        model()
        """
    )
    assert run.outcome.code is FailureCode.DISK_FULL, (run.outcome, run.log)
    assert str(run.root) not in run.outcome.message
