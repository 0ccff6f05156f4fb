"""What was tried, in figures."""

from collections import Counter

from tests.cloud.functions import rooms
from tests.faults.points import OF_EVERY_CALL, Fault, Survey, same_as


def covered(survey: Survey) -> tuple[int, int]:
    """Crash points at which every fault of a call was tried, and how many there are."""
    tried = {(outcome.trial.point, outcome.trial.fault) for outcome in survey.outcomes}
    points = [point for point in survey.points if point.path]
    return sum(all(same_as(point, fault) in tried for fault in OF_EVERY_CALL) for point in points), len(points)


def lines_of(survey: Survey) -> list[str]:
    """The report's lines, empty when nothing was tried."""
    outcomes = survey.outcomes
    if not outcomes:
        return []
    done, known = covered(survey)
    undisturbed = sum(1 for point in survey.undisturbed if point.path)
    bad = sum(1 for outcome in outcomes if outcome.violations)
    lines = [f"crash points covered: {done} of {known} ({undisturbed} of undisturbed runs, the others of recoveries)"]
    seconds = sum(outcome.seconds for outcome in outcomes)
    lines.append(f"trials: {len(outcomes)}, with violations: {bad}, lost: {len(survey.lost)}, processor time: {seconds:.0f} s")
    counts = Counter(outcome.trial.fault for outcome in outcomes)
    lines += [f"  {fault:28} {counts[fault]:5}" for fault in Fault]
    per_room = Counter(point.room for point in survey.points if point.path)
    lines.append("by handler: " + ", ".join(f"{room} {per_room[room]}" for room in rooms()))
    return lines
