"""Every trigger has its function, its events and its tests; every lock follows from what is declared."""

import json
import re
import tomllib
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]


def rooms() -> set[str]:
    return {path.parent.name for path in (ROOT / "functions").glob("*/handler.py")}


def test_every_function_has_an_event_of_its_real_shape() -> None:
    events = {path.name.split(".")[0] for path in (ROOT / "events").glob("*.json")}

    assert rooms() == events
    for path in (ROOT / "events").glob("*.json"):
        assert json.loads(path.read_text())


def test_every_function_has_a_functional_test() -> None:
    tests = "\n".join(path.read_text() for path in (ROOT / "tests" / "functional").glob("*.py"))

    assert {room for room in rooms() if f"functions.{room}" not in tests and f'"{room}"' not in tests} == set()


def test_the_agents_lock_starts_from_the_agents_extra() -> None:
    extra = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["optional-dependencies"]["agent"]
    listed = [line for line in (ROOT / "requirements" / "agent.in").read_text().splitlines() if not line.startswith("#")]

    assert sorted(listed) == sorted(extra)


def test_locks_pin_with_hashes_and_name_no_index() -> None:
    for lock in (ROOT / "requirements").glob("*.lock"):
        text = lock.read_text()
        assert "--hash=sha256:" in text, lock.name
        assert not re.search(r"https?://|^--|file://", text, flags=re.MULTILINE), lock.name


def test_the_locks_agree_with_each_other() -> None:
    """What functions and agents run with is what the tests ran with. The emulator has a venv of its own."""
    pinned = {}
    for name in ("all", "functions", "agent"):
        text = (ROOT / "requirements" / f"{name}.lock").read_text()
        pinned[name] = dict(re.findall(r"^([a-z0-9-]+)==(\S+)", text, flags=re.MULTILINE))

    for name in ("functions", "agent"):
        assert pinned[name]
        assert {package: version for package, version in pinned[name].items() if pinned["all"][package] != version} == {}
