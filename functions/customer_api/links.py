"""Which operation can follow which: a thing that was made or listed can be read, changed and deleted by its id."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

Json = dict[str, Any]


@dataclass(frozen=True, slots=True)
class _Operation:
    path: str
    method: str
    body: Json

    @property
    def parameters(self) -> list[str]:
        return re.findall(r"\{(\w+)\}", self.path)


def add_links(paths: Json) -> None:
    """Gives every success the links to the operations whose ids it tells."""
    operations = [_Operation(path, method, body) for path, methods in paths.items() for method, body in methods.items()]
    for source in operations:
        for status, answer in source.body["responses"].items():
            if status.startswith("2") and source.method != "delete":
                links = dict(_links(source, operations))
                if links:
                    answer["links"] = links


def _links(source: _Operation, operations: list[_Operation]) -> Iterator[tuple[str, Json]]:
    for target in operations:
        new = _new_parameter(source, target)
        if target is source or new is None:
            continue
        parameters = {name: f"$request.path.{name}" for name in source.parameters}
        if new:
            parameters[new] = "$response.body#/id" if source.method == "post" else "$response.body#/data/0/id"
        if parameters:
            name = target.body["operationId"]
            yield name, {"operationId": name, "parameters": parameters}


def _new_parameter(source: _Operation, target: _Operation) -> str | None:
    """The parameter of ``target`` that the answer of ``source`` tells; "" when none is needed, None when it cannot follow."""
    rest = target.path.removeprefix(source.path)
    if rest == target.path:
        return None
    if source.path.endswith("}"):
        # From one thing to what can be done with it or listed below it.
        return "" if source.method == "get" and "{" not in rest and target.parameters == source.parameters else None
    found = re.fullmatch(r"/\{(\w+)\}(/[^{]*)?", rest)
    if found is None or source.method not in ("get", "post"):
        return None
    return found[1]
