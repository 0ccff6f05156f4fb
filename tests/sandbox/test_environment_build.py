"""Environments built with the real pip, in its sandbox, from wheels that try to abuse it."""

import os
import tarfile
import threading
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest

from node_agent.environments import EnvironmentAbandonedError, EnvironmentFailedError, EnvironmentStore
from node_agent.environments.builder import site_packages
from node_agent.sandbox import OutcomeStatus
from tests.sandbox.lab import Lab, poll, processes_with

pytestmark = pytest.mark.sandbox


@pytest.fixture
def shelf(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The owner's folder of wheels, as a host's own pip configuration names it."""
    folder = tmp_path / "shelf"
    folder.mkdir()
    monkeypatch.setenv("PIP_FIND_LINKS", str(folder))
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    return folder


@pytest.fixture
def obtain(tmp_path: Path) -> Callable[..., Path]:
    """Obtains an environment from a store of its own; ``state`` is the agent's and hidden from builds."""
    state = tmp_path / "state"
    store = EnvironmentStore(state / "environments", hidden=(state,), max_bytes=1 << 30, max_environment_bytes=8 << 20)
    return lambda *wishes, stop=None: store.obtain(wishes, stop=stop or threading.Event())


def _wheel(shelf: Path, name: str, files: dict[str, str | bytes]) -> None:
    info = f"{name}-1.0.dist-info"
    members = {
        **files,
        f"{info}/METADATA": f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n",
        f"{info}/WHEEL": "Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
    }
    with zipfile.ZipFile(shelf / f"{name}-1.0-py3-none-any.whl", "w", zipfile.ZIP_DEFLATED) as archive:
        for path, content in members.items():
            archive.writestr(path, content)
        archive.writestr(f"{info}/RECORD", "".join(f"{path},,\n" for path in [*members, f"{info}/RECORD"]))


def _left_over(environment_root: Path) -> list[str]:
    return [path.name for path in environment_root.iterdir() if path.is_dir()]


def test_a_unit_imports_what_its_package_asked_for(shelf: Path, obtain: Callable[..., Path], tmp_path: Path) -> None:
    _wheel(shelf, "friendly", {"friendly.py": "word = 'hello'\n"})
    environment = obtain("friendly==1.0")
    assert obtain("friendly==1.0") == environment
    run = Lab(tmp_path / "work", environment).run("import friendly\nsay(word=friendly.word)\nmodel()")
    assert run.outcome.status is OutcomeStatus.SUCCEEDED, (run.outcome, run.log)
    assert run.said["word"] == "hello"
    assert not (environment / "tmp").exists(), "the log of the build names the owner's index"


def test_what_is_installed_does_not_run_while_it_is_installed(shelf: Path, obtain: Callable[..., Path], tmp_path: Path) -> None:
    evil = f"import os; open({str(tmp_path / 'ran')!r}, 'w'); os.makedirs({str(tmp_path / 'state' / 'ran')!r})\n"
    _wheel(
        shelf,
        "evil",
        {"evil.py": evil, "evil.pth": f"import os; {evil}", "sitecustomize.py": evil, "setup.py": evil, "pip.py": evil},
    )
    environment = obtain("evil")
    obtain("evil")
    assert (site_packages(environment) / "sitecustomize.py").exists()
    assert not (tmp_path / "ran").exists()
    assert not (tmp_path / "state" / "ran").exists()


def test_sources_are_never_built(shelf: Path, obtain: Callable[..., Path], tmp_path: Path) -> None:
    source = tmp_path / "setup.py"
    source.write_text(f"open({str(tmp_path / 'ran')!r}, 'w')\n")
    with tarfile.open(shelf / "sourced-1.0.tar.gz", "w:gz") as archive:
        archive.add(source, "sourced-1.0/setup.py")
    with pytest.raises(EnvironmentFailedError, match="no wheel for the requirement sourced"):
        obtain("sourced")
    assert not (tmp_path / "ran").exists()
    assert _left_over(tmp_path / "state" / "environments") == []


def test_the_owners_settings_cannot_weaken_the_build(
    shelf: Path, obtain: Callable[..., Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = tmp_path / "pip.conf"
    settings.write_text("[global]\nno-binary = :all:\n")
    monkeypatch.setenv("PIP_CONFIG_FILE", str(settings))
    monkeypatch.setenv("PIP_NO_BINARY", ":all:")
    _wheel(shelf, "friendly", {"friendly.py": ""})
    assert obtain("friendly").is_dir()


def test_a_wheel_bomb_is_stopped(shelf: Path, obtain: Callable[..., Path], tmp_path: Path) -> None:
    _wheel(shelf, "bomb", {f"bomb{number}.bin": bytes(4 << 20) for number in range(8)})
    with pytest.raises(EnvironmentFailedError, match="larger than 8 MB"):
        obtain("bomb")
    assert _left_over(tmp_path / "state" / "environments") == []


def test_a_wheel_that_climbs_is_refused(shelf: Path, obtain: Callable[..., Path], tmp_path: Path) -> None:
    _wheel(shelf, "climber", {"../../../../climbed.py": "x = 1"})
    with pytest.raises(EnvironmentFailedError):
        obtain("climber")
    assert not list(tmp_path.rglob("climbed.py"))


def test_a_stop_ends_the_build(
    shelf: Path, obtain: Callable[..., Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An index that never answers: a pipe in the place of the owner's list of wheels."""
    os.mkfifo(shelf / "index.html")
    monkeypatch.setenv("PIP_FIND_LINKS", str(shelf / "index.html"))
    stop = threading.Event()
    ended: list[BaseException] = []

    def build() -> None:
        try:
            obtain("friendly", stop=stop)
        except EnvironmentAbandonedError as error:
            ended.append(error)

    thread = threading.Thread(target=build)
    thread.start()
    marker = str(tmp_path / "state" / "environments")
    poll(lambda: processes_with(marker) != [], seconds=20, what="pip")
    stop.set()
    thread.join(20)
    assert len(ended) == 1
    assert processes_with(marker) == []
    assert _left_over(tmp_path / "state" / "environments") == []
