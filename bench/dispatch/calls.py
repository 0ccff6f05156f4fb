"""AWS calls: noted as they are sent, and sent again by a client that knows nothing of us."""

import re
import time
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from botocore import xform_name
from botocore.exceptions import ClientError
from botocore.session import Session

SERVICES = ("dynamodb", "s3", "sqs")


@dataclass(frozen=True)
class Call:
    """One call as its caller wrote it; ``refusal`` is the code of the error that it was answered with."""

    service: str
    operation: str
    parameters: Any
    refusal: str = ""

    def renamed(self, names: Mapping[str, str]) -> "Call":
        """The same call about other things."""
        pattern = re.compile("|".join(re.escape(name) for name in names))
        return replace(self, parameters=_renamed(self.parameters, pattern, names))


class Recorder:
    """Notes every call that clients send. Presigning sends none."""

    def __init__(self) -> None:
        self.calls: list[Call] = []
        self._parameters: Any = None

    def watch(self, client: Any) -> None:
        client.meta.events.register("provide-client-params", self._begin)
        client.meta.events.register("after-call", self._answered)

    def take(self) -> list[Call]:
        """The calls since the last time."""
        taken, self.calls = self.calls, []
        return taken

    def _begin(self, params: Any, **_: Any) -> None:
        self._parameters = dict(params)  # botocore adds tokens of its own to what it was given

    def _answered(self, model: Any, parsed: Any, **_: Any) -> None:
        self.calls.append(Call(model.service_model.service_name, model.name, self._parameters, _refusal(parsed)))


class Bare:
    """Clients straight from botocore."""

    def __init__(self) -> None:
        session = Session()
        self.clients: dict[str, Any] = {service: session.create_client(service) for service in SERVICES}

    def send(self, calls: list[Call]) -> float:
        """Seconds that the calls took, one after the other. They must be answered as they were before."""
        ready = [(getattr(self.clients[call.service], xform_name(call.operation)), call.parameters) for call in calls]
        answers = []
        start = time.perf_counter()
        for method, parameters in ready:
            try:
                method(**parameters)
            except ClientError as error:
                answers.append(_refusal(error.response))
            else:
                answers.append("")
        took = time.perf_counter() - start
        if answers != [call.refusal for call in calls]:
            raise RuntimeError(f"{[call.operation for call in calls]} were answered otherwise than before: {answers}")
        return took


def _refusal(answer: Any) -> str:
    return str(answer.get("Error", {}).get("Code", ""))


def _renamed(value: Any, pattern: re.Pattern[str], names: Mapping[str, str]) -> Any:
    if isinstance(value, str):
        return pattern.sub(lambda found: names[found[0]], value)
    if isinstance(value, dict):
        return {key: _renamed(inner, pattern, names) for key, inner in value.items()}
    if isinstance(value, list | tuple | set):
        return [_renamed(inner, pattern, names) for inner in value]
    return value
