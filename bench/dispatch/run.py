"""``python -m bench.dispatch.run``: lifecycles a second in memory, and on the stack beside their AWS calls; one picture."""

from typing import Any

from bench.dispatch import memory, stack
from bench.dispatch.plot import draw_dispatch
from local.layout import DEFAULT_LAYOUT


def run() -> dict[str, Any]:
    """Both tables' figures, as JSON values."""
    found = {"memory": memory.run(), "stack": stack.run()}
    path = DEFAULT_LAYOUT.home / "dispatch.png"
    draw_dispatch(path, **found)
    print(f"picture: {path}")
    return found


if __name__ == "__main__":
    run()
