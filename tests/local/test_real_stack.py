"""The real template on a private emulator: what `up` promises, from an empty directory and again over its state."""

import http.client
import json
import os
import signal
import stat
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest

from local import bringup, process, stack
from local.bringup import LocalStack, Wishes
from local.environment import read_env_file
from local.layout import REPO_ROOT, Layout
from local.testing import private_stack

pytestmark = pytest.mark.stack


@pytest.fixture(scope="module")
def up(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalStack]:
    with private_stack(tmp_path_factory.mktemp("stack"), warm=False) as running:
        yield running


def _get(stack: LocalStack, path: str) -> tuple[int, Any]:
    address = urlsplit(stack.api + path)
    connection = http.client.HTTPConnection(address.netloc, timeout=30)
    connection.request("GET", address.path, headers={"X-API-Key": stack.variables["GPU_AGENT_API_KEY"]})
    response = connection.getresponse()
    answer = response.status, json.loads(response.read())
    connection.close()
    return answer


def test_demo_customer_can_use_its_key(up: LocalStack) -> None:
    status, answer = _get(up, "/api/v1/customer/training-jobs")

    assert status == http.HTTPStatus.OK
    assert answer["data"] == []


def test_unknown_path_is_answered_by_our_envelope(up: LocalStack) -> None:
    status, answer = _get(up, "/nowhere")

    assert status == http.HTTPStatus.NOT_FOUND
    assert answer["error"]["code"] == "NOT_FOUND"


def test_tables_have_the_ttl_that_the_template_names(up: LocalStack) -> None:
    dynamodb = up.account.client("dynamodb")
    described = {
        table: dynamodb.describe_time_to_live(TableName=table)["TimeToLiveDescription"]
        for table in dynamodb.list_tables()["TableNames"]
    }

    kept = {table: ttl["AttributeName"] for table, ttl in described.items() if ttl["TimeToLiveStatus"] == "ENABLED"}
    assert kept == dict.fromkeys(("keys", "nodes", "idempotency", "limits", "deliveries"), "expires_at_epoch")


def test_env_file_holds_what_the_fixture_has_and_is_private(up: LocalStack) -> None:
    assert read_env_file(up.layout.env_file) == up.variables
    for path in (up.layout.env_file, up.layout.secrets_file):
        assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_nothing_secret_is_in_the_log(up: LocalStack) -> None:
    log = up.layout.log_file.read_text()

    for name in ("AWS_SECRET_ACCESS_KEY", "GPU_AGENT_PASSWORD", "GPU_AGENT_API_KEY"):
        assert up.variables[name] not in log


def test_up_again_changes_nothing_and_a_restart_keeps_the_customer(up: LocalStack) -> None:
    said: list[str] = []
    wishes = Wishes(port=up.running.port, warm=False, with_parent=True)

    again = bringup.bring_up(layout=up.layout, wishes=wishes, say=said.append)
    assert any("unchanged" in line for line in said)
    bringup.take_down(layout=up.layout, say=said.append)
    restarted = bringup.bring_up(layout=up.layout, wishes=wishes, say=said.append)

    assert again.running == up.running
    assert restarted.running.pid != up.running.pid
    assert restarted.variables == up.variables
    assert _get(restarted, "/api/v1/customer/training-jobs")[0] == http.HTTPStatus.OK


def test_owners_aws_profile_plays_no_part(up: LocalStack, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_PROFILE", "a-profile-that-is-not-here")
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://192.0.2.1")

    assert up.account.client("sts").get_caller_identity()["Arn"].endswith(":user/local-admin")


def test_interrupted_up_leaves_nothing_running_and_wipe_leaves_nothing_at_all(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "local.stack", "--home", str(tmp_path), "up", "--port", str(process.free_port())]
    with subprocess.Popen(
        command,
        cwd=REPO_ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        env={**os.environ},
        # Whoever starts the tests in the background lets them ignore Ctrl-C, and a child would inherit that.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    ) as child:
        assert child.stdout is not None
        for line in child.stdout:
            if "emulator listens" in line:
                child.send_signal(signal.SIGINT)
                break
        rest = child.stdout.read()

    assert child.returncode == 130, rest
    assert "its state is kept" in rest
    assert process.find_running(Layout(home=tmp_path)) is None
    assert stack.main(["--home", str(tmp_path), "down", "--wipe"]) == 0
    assert [path.name for path in tmp_path.iterdir()] == ["stack.lock"]
