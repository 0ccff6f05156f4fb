"""Most agents are no root: the same escapes, attempted from a sandbox that an ordinary user built."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.sandbox

_USER = "4321"
_ATTEMPTS = ("test_isolation.py", "test_kernel_calls.py", "test_outputs.py", "test_disk.py")

# The interpreter may lie in root's closed home. In a mount namespace of its own, the way there is laid bare with nothing
# else on it; the last line is where the ordinary user begins.
_SCRIPT = """
set -e
mount --make-rprivate /
kept=$(mktemp -d)
mount --bind "$PREFIX" "$kept"
if ! setpriv --reuid "$AS" --regid "$AS" --clear-groups test -x "$PREFIX/bin"; then
    mount -t tmpfs -o mode=755 tmpfs "/$(echo "$PREFIX" | cut -d/ -f2)"
    mkdir -p "$PREFIX"
    mount --bind "$kept" "$PREFIX"
fi
umount "$kept"; rmdir "$kept"
exec setpriv --reuid "$AS" --regid "$AS" --clear-groups --inh-caps=-all --bounding-set=-all "$@"
"""


def test_escapes_fail_for_an_ordinary_users_agent_too() -> None:
    if os.geteuid() != 0:
        return  # then all of this folder is already being run by one
    home = Path("/tmp") / f"gpupool-ordinary-{os.getpid()}"
    home.mkdir()
    os.chown(home, int(_USER), int(_USER))
    here = Path(__file__).parent
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", f"--basetemp={home / 'tests'}"]
    environ = {"PATH": "/usr/bin:/bin", "HOME": str(home), "PYTHONDONTWRITEBYTECODE": "1", "AS": _USER}
    try:
        run = subprocess.run(
            ["unshare", "--mount", "sh", "-c", _SCRIPT, "sh", *command, *(str(here / name) for name in _ATTEMPTS)],
            env={**environ, "PREFIX": sys.base_prefix},
            cwd=here.parents[1],
            capture_output=True,
            text=True,
            timeout=300,
            check=False,
        )
    finally:
        subprocess.run(["rm", "-rf", str(home)], check=False)
    assert run.returncode == 0, run.stdout[-4000:] + run.stderr[-2000:]
    assert " passed" in run.stdout
