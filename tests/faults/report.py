"""What was tried, in figures."""

from collections import Counter

from tests.cloud.functions import rooms
from tests.faults.points import OF_EVERY_CALL, Fault, Point, Survey, same_as


def uncovered(survey: Survey) -> list[Point]:
    """Crash points of undisturbed runs at which not every fault of a call was tried."""
    tried = {(outcome.trial.point, outcome.trial.fault) for outcome in survey.outcomes}
    points = [point for point in survey.undisturbed if point.path]
    return [point for point in points if not all(same_as(point, fault) in tried for fault in OF_EVERY_CALL)]


def lines_of(survey: Survey) -> list[str]:
    """The report's lines, empty when nothing was tried."""
    outcomes = survey.outcomes
    if not outcomes:
        return []
    known = {point for point in survey.undisturbed if point.path}
    beyond = {point for point in survey.points if point.path} - known
    bad = sum(1 for outcome in outcomes if outcome.violations)
    lines = [f"crash points covered: {len(known) - len(uncovered(survey))} of {len(known)}"]
    lines.append(f"  and {len(beyond)} more calls were seen only in the aftermath of a fault")
    seconds = sum(outcome.seconds for outcome in outcomes)
    lines.append(f"trials: {len(outcomes)}, with violations: {bad}, lost: {len(survey.lost)}, processor time: {seconds:.0f} s")
    counts = Counter(outcome.trial.fault for outcome in outcomes)
    lines += [f"  {fault:28} {counts[fault]:5}" for fault in Fault]
    per_room = Counter(point.room for point in known)
    lines.append("by handler: " + ", ".join(f"{room} {per_room[room]}" for room in rooms()))
    return lines
