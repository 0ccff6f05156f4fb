"""``python3 local/install.py VENV LOCK``: makes a virtual environment from a hashed lock and shows how far it is.

Runs on the system's Python before anything is installed: standard library only.
"""

import subprocess
import sys
import time
import venv
from pathlib import Path

_TAIL_LINES = 25


def main(folder: Path, lock: Path) -> int:
    if sys.version_info < (3, 11):  # noqa: UP036 - whoever starts this may have an older one, which should hear why it stops
        print("Python 3.11 or newer is needed; name one with: make PYTHON=python3.11", file=sys.stderr)
        return 1
    if not (folder / "bin" / "pip").exists() and not _make_venv(folder):
        return 1
    total = sum(1 for line in lock.read_text().splitlines() if "==" in line and not line.startswith((" ", "#")))
    command = [str(folder / "bin" / "python"), "-m", "pip", "install", "--progress-bar", "off"]
    command += ["--require-hashes", "--no-deps", "-r", str(lock)]
    return _follow(command, total=total)


def _make_venv(folder: Path) -> bool:
    """Debian and Ubuntu ship Python without what an environment's pip is made from, and say so only to ``python -m venv``."""
    try:
        venv.create(folder, with_pip=True, clear=True)
    except subprocess.CalledProcessError:
        package = f"python{sys.version_info.major}.{sys.version_info.minor}-venv"
        print(f"This Python cannot make environments; on Debian and Ubuntu: apt-get install {package}", file=sys.stderr)
        return False
    return True


def _follow(command: list[str], *, total: int) -> int:
    """pip's exit code; what it said is shown only when it failed."""
    started, seen, said = time.monotonic(), 0, []
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True) as pip:
        for line in pip.stdout or ():
            said.append(line)
            if line.startswith(("Collecting ", "Requirement already")):
                seen += 1
                _show(seen, total, seconds=time.monotonic() - started)
            elif line.startswith("Installing collected"):
                _show(total, total, seconds=time.monotonic() - started, what="installing")
    if sys.stdout.isatty():
        print()
    if pip.returncode:
        sys.stderr.writelines(said[-_TAIL_LINES:])
    return pip.returncode


def _show(seen: int, total: int, *, seconds: float, what: str = "fetching") -> None:
    """A bar on a terminal, a line per quarter in a log."""
    text = f"  [{'#' * (30 * seen // total):<30}] {seen}/{total} packages, {what}, {seconds:.0f} s"
    if sys.stdout.isatty():
        print(f"\r{text:<70}", end="", flush=True)
    elif seen % max(1, total // 4) == 0 or what == "installing":
        print(text, flush=True)


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1]), Path(sys.argv[2])))
