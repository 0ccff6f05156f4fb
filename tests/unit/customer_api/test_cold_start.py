"""What a cold start of the customer door must not wait for."""

import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[3]
LATER = {
    "boto3",
    "botocore.session",
    "argon2",
    "gpupool.bootstrap",
    "gpupool.planning.manifest",
    "functions.customer_api.shapes",
    "functions.customer_api.document",
    "functions.customer_api.published",
    "functions.customer_api.reference",
}


def test_importing_the_handler_loads_neither_clients_nor_services() -> None:
    program = "import functions.customer_api.handler, sys; print(*sys.modules)"
    path = os.pathsep.join([str(ROOT), str(ROOT / "layers/gpupool/python")])
    environment = {**os.environ, "PYTHONPATH": path, "POWERTOOLS_SERVICE_NAME": "customer_api"}
    loaded = subprocess.run([sys.executable, "-c", program], env=environment, capture_output=True, text=True, check=True)
    assert LATER & set(loaded.stdout.split()) == set()
