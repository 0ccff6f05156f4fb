"""How functions run: the documented error, the project's interpreter, complete logs, warm environments."""

import os
import sys
import time

import pytest

from tests.local.workshop import Workshop

pytestmark = pytest.mark.stack

FAILING = """
    import os
    class LedgerClosed(Exception):
        pass
    def handler(event, context):
        if event.get("fail"):
            raise LedgerClosed("no more entries")
        return {"pid": os.getpid()}
"""


def test_raised_exception_is_answered_with_its_class(workshop: Workshop) -> None:
    name = workshop.function(FAILING)

    answer, error = workshop.call(name, {"fail": True})

    assert error == "Unhandled"
    assert answer["errorType"] == "LedgerClosed"
    assert answer["errorMessage"] == "no more entries"
    assert any("raise LedgerClosed" in line for line in answer["stackTrace"])


def test_environment_survives_a_raised_exception(workshop: Workshop) -> None:
    name = workshop.function(FAILING)

    before, _ = workshop.call(name, {})
    workshop.call(name, {"fail": True})
    after, _ = workshop.call(name, {})

    assert before["pid"] == after["pid"]


def test_handlers_run_on_the_projects_interpreter(workshop: Workshop) -> None:
    name = workshop.function("""
        import sys
        def handler(event, context):
            return {"prefix": sys.prefix, "path": sys.path}
    """)

    answer, _ = workshop.call(name, {})

    assert os.path.realpath(answer["prefix"]) == os.path.realpath(sys.prefix)
    assert not any("tools/ministack" in entry for entry in answer["path"])


def test_handlers_do_not_see_the_sources_beside_their_asset(workshop: Workshop) -> None:
    name = workshop.function("""
        import importlib.util
        def handler(event, context):
            return {"found": importlib.util.find_spec("functions") is not None}
    """)

    assert workshop.call(name, {})[0] == {"found": False}


def test_quiet_handler_answers_as_fast_as_one_that_logs(workshop: Workshop) -> None:
    quiet = workshop.function("def handler(event, context): return 1")
    chatty = workshop.function("def handler(event, context): print('here')")
    times: dict[str, list[float]] = {quiet: [], chatty: []}
    for _ in range(15):
        for name, seconds in times.items():
            seconds.append(_seconds_of_call(workshop, name))

    assert min(times[quiet]) < min(times[chatty]) + 0.025  # the emulator's own wait for a first line is 0.05 s


def _seconds_of_call(workshop: Workshop, name: str) -> float:
    started = time.perf_counter()
    workshop.call(name, {})
    return time.perf_counter() - started


def test_no_log_line_of_a_handler_is_lost(workshop: Workshop) -> None:
    name = workshop.function("""
        import threading
        def handler(event, context):
            for number in range(5):
                print(f"line {number}")
                threading.Event().wait(0.02)
            return 1
    """)
    workshop.call(name, {})

    logs = workshop.client("logs")
    stream = logs.describe_log_streams(logGroupName=f"/aws/lambda/{name}")["logStreams"][0]["logStreamName"]
    events = logs.get_log_events(logGroupName=f"/aws/lambda/{name}", logStreamName=stream)["events"]
    text = "\n".join(event["message"] for event in events)

    assert all(f"line {number}" in text for number in range(5))
    assert "end-of-invocation" not in text


def test_newest_log_streams_of_a_group_are_kept_and_older_ones_forgotten(workshop: Workshop) -> None:
    logs = workshop.client("logs")
    logs.create_log_group(logGroupName="busy")
    for number in range(503):
        logs.create_log_stream(logGroupName="busy", logStreamName=f"call-{number:03d}")
    workshop.wait_for_snapshot()

    first = logs.describe_log_streams(logGroupName="busy", limit=1)["logStreams"]

    assert [stream["logStreamName"] for stream in first] == ["call-003"]
