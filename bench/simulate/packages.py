"""Training packages of every strategy, as their rows keep them."""

from collections.abc import Collection
from functools import cache
from random import Random
from typing import Any

from bench.simulate.loop import START
from bench.uploads import a_ready_upload
from gpupool.planning.manifest import parse_manifest
from gpupool.planning.stored import manifest_to_dict
from gpupool.uploads.model import Upload, UploadKind

SINGLE = '[package]\nentry = "train.py"\n'
_EVALUATE = '[evaluate]\nentry = "evaluate.py"\n'
_FILES = frozenset({"train.py", "evaluate.py"})
_LARGEST_DAG = 12


@cache
def a_manifest(text: str) -> dict[str, Any]:
    return manifest_to_dict(parse_manifest(text, _FILES))


def dag(*needs: tuple[int, ...], on_gpus: Collection[int] = ()) -> str:
    """The text of a manifest with one unit per argument: ``dag((), (0,), (0, 1))`` is a fork that joins again."""
    tables = []
    for at, wanted in enumerate(needs):
        names = ", ".join(f'"u{need}"' for need in wanted)
        place = 'kind = "gpu"\nrequired_vram_mb = 8000' if at in on_gpus else 'kind = "cpu"\nrequired_vram_mb = 0'
        tables.append(f'[[units]]\nname = "u{at}"\nentry = "train.py"\n{place}\nneeds = [{names}]\n')
    return '[strategy]\nkind = "dag"\n' + "".join(tables)


def sweep(lanes: int, *, evaluated: bool) -> str:
    grid = ", ".join(str(value) for value in range(lanes))
    text = f'{SINGLE}[strategy]\nkind = "sweep"\n[sweep]\nobjective = "loss"\ngoal = "minimize"\ngrid = {{seed = [{grid}]}}\n'
    return text + _EVALUATE if evaluated else text


def some_manifest(random: Random) -> dict[str, Any]:
    kind = random.choice(("single", "sweep", "dag", "dag"))
    if kind == "single":
        return a_manifest(SINGLE + random.choice(("", _EVALUATE)))
    if kind == "sweep":
        return a_manifest(sweep(random.choice((1, 2, 3, 4, 6, 10)), evaluated=random.random() < 0.4))
    graph = _some_graph(random)
    share = random.choice((0.0, 0.0, 0.5))
    return a_manifest.__wrapped__(dag(*graph, on_gpus=[at for at in range(len(graph)) if random.random() < share]))


def _some_graph(random: Random) -> list[tuple[int, ...]]:
    """Per unit, which of those before it are needed: no edges, few or many."""
    density = random.choice((0.0, 0.1, 0.3, 0.6))
    count = random.randint(1, _LARGEST_DAG)
    return [tuple(need for need in range(at) if random.random() < density) for at in range(count)]


def a_dataset(customer_id: str) -> Upload:
    return a_ready_upload(UploadKind.DATASET, "dataset-1", customer_id=customer_id, at=START)


def a_package(customer_id: str, package_id: str, manifest: dict[str, Any]) -> Upload:
    return a_ready_upload(UploadKind.TRAINING_PACKAGE, package_id, customer_id=customer_id, at=START, manifest=manifest)
