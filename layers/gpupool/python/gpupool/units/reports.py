"""What the holder of a lease may do with it: fetch its inputs, upload, and report how the attempt ended."""

from collections.abc import Callable
from dataclasses import replace

from gpupool.clock import Clock
from gpupool.dispatch.queue import Queue
from gpupool.errors import Conflict, StaleWrite
from gpupool.objects.store import ObjectStore
from gpupool.planning.pricing import charge
from gpupool.units import decide
from gpupool.units.bells import Bells, served
from gpupool.units.decide import Standing
from gpupool.units.inputs import Inputs
from gpupool.units.model import Output, Unit, Worker
from gpupool.units.rows import lease_lost, present
from gpupool.units.signing import Signing, output_key
from gpupool.units.store import UnitStore
from gpupool.wire.errors import NodeErrorCode
from gpupool.wire.units import (
    CompleteRequest,
    FailRequest,
    InputsRequest,
    InputsResponse,
    Lease,
    OutputFile,
    OutputsRequest,
    OutputsResponse,
    ReportResponse,
)


class Reports:
    def __init__(
        self,
        *,
        units: UnitStore,
        inputs: Inputs,
        objects: ObjectStore,
        signing: Signing,
        queue: Queue,
        clock: Clock,
    ) -> None:
        self._units = units
        self._inputs = inputs
        self._objects = objects
        self._signing = signing
        self._bells = Bells(queue)
        self._clock = clock

    def inputs(self, worker: Worker, unit_id: str, request: InputsRequest) -> InputsResponse:
        """Inputs with fresh URLs; LEASE_LOST when the unit is not this node's any more."""
        unit = self._held(worker, unit_id, request.lease)
        if request.only is not None:
            return self._inputs.only(unit, request.only, outputs=request.outputs)
        return self._inputs.page(unit, cursor=request.cursor, outputs=request.outputs)

    def outputs(self, worker: Worker, unit_id: str, request: OutputsRequest) -> OutputsResponse:
        """Presigned uploads for exactly the declared bytes, under the attempt's own folder."""
        unit = self._held(worker, unit_id, request.lease)
        return OutputsResponse(uploads={file.name: self._signing.output(unit, file) for file in request.files})

    def complete(self, worker: Worker, unit_id: str, request: CompleteRequest) -> ReportResponse:
        """Ends the unit with a result; what follows from that (the debit, the next units) follows from the write.

        OUTPUT_MISSING when a declared upload is absent or differs, or when a unit that is paid for its model has none.
        """

        def move(unit: Unit) -> Unit:
            if decide.lacks_model(unit, request.outputs):
                raise _no_model()
            now = self._clock.now()
            runtime = decide.observed_runtime(unit, reported=request.runtime_seconds, now=now)
            done = decide.completed(
                unit,
                lease=request.lease,
                metrics=request.metrics,
                runtime_seconds=runtime,
                credits=charge(unit.credits_max, unit.capability, runtime),
                now=now,
            )
            return replace(done, peak_memory_mb=request.peak_memory_mb)

        return self._report(worker, unit_id, request, move)

    def fail(self, worker: Worker, unit_id: str, request: FailRequest) -> ReportResponse:
        """Ends the attempt without a result; the unit is queued again or failed for good."""
        return self._report(worker, unit_id, request, lambda unit: decide.failed(unit, request, now=self._clock.now()))

    def _held(self, worker: Worker, unit_id: str, lease: Lease) -> Unit:
        return _holding(worker, self._units.get(unit_id), lease)

    def _report(
        self, worker: Worker, unit_id: str, report: CompleteRequest | FailRequest, move: Callable[[Unit], Unit]
    ) -> ReportResponse:
        bell = served(worker, report.doorway)
        while True:
            unit = self._units.get(unit_id)
            standing = decide.standing(unit, report.lease)
            if standing is Standing.REPEATED:
                self._bells.silence(bell)
                return ReportResponse(unit_id=unit_id, status=present(unit).status, accepted=False)
            held = _holding(worker, unit, report.lease)
            ended = move(held)
            left = tuple(self._verify(held, file) for file in report.outputs) if ended.is_final else ()
            try:
                self._units.replace(replace(ended, outputs=left))
            except StaleWrite:
                continue
            self._bells.silence(bell)
            return ReportResponse(unit_id=unit_id, status=ended.status)

    def _verify(self, unit: Unit, file: OutputFile) -> Output:
        """An uploaded file as it is kept; the bucket, not the node, says what was stored."""
        head = self._objects.head(output_key(unit, file.name))
        if head is None or (head.size_bytes, head.sha256) != (file.size_bytes, file.sha256):
            raise Conflict(
                f"The upload {file.name} is absent or differs from what was declared; upload it again.",
                code=NodeErrorCode.OUTPUT_MISSING,
                field="/outputs",
            )
        return Output(file.name, file.kind, file.size_bytes, file.sha256)


def _holding(worker: Worker, unit: Unit | None, lease: Lease) -> Unit:
    """The unit, if ``worker`` holds it by ``lease``; LEASE_LOST otherwise."""
    if decide.standing(unit, lease) is not Standing.HOLDS or present(present(unit).lease).node_id != worker.node_id:
        raise lease_lost()
    return present(unit)


def _no_model() -> Conflict:
    return Conflict(
        "A train, package or select unit ends with a model: upload one and name it in outputs, or report NO_MODEL.",
        code=NodeErrorCode.OUTPUT_MISSING,
        field="/outputs",
    )
