"""What was tried, in figures."""

from collections import Counter

from tests.cloud.functions import rooms
from tests.faults.points import OF_EVERY_CALL, Fault, Point, Survey, is_of_share, same_as, share


def uncovered(survey: Survey) -> list[Point]:
    """Crash points of undisturbed runs at which a fault of a call, of those that this run tries, was not tried."""
    tried = {(outcome.trial.point, outcome.trial.fault) for outcome in survey.outcomes}
    points = [point for point in survey.undisturbed if point.path]
    return [point for point in points if not _wanted(point) <= tried]


def _wanted(point: Point) -> set[tuple[Point, Fault]]:
    return {same_as(point, fault) for fault in OF_EVERY_CALL if is_of_share(point, fault)}


def lines_of(survey: Survey) -> list[str]:
    """The report's lines, empty when nothing was tried."""
    outcomes = survey.outcomes
    if not outcomes:
        return []
    known = {point for point in survey.undisturbed if point.path}
    beyond = {point for point in survey.points if point.path} - known
    bad = sum(1 for outcome in outcomes if outcome.violations)
    lines = [f"crash points covered: {len(known) - len(uncovered(survey))} of {len(known)}"]
    if share() > 1:
        tried = sum(len(_wanted(point)) for point in known)
        lines.append(
            f"  by a share of the faults, {tried / len(known):.1f} of {len(OF_EVERY_CALL)} each; FAULT_SHARE=1 tries all"
        )
    lines.append(f"  and {len(beyond)} more calls were seen only in the aftermath of a fault")
    seconds = sum(outcome.seconds for outcome in outcomes)
    lines.append(f"trials: {len(outcomes)}, with violations: {bad}, lost: {len(survey.lost)}, processor time: {seconds:.0f} s")
    counts = Counter(outcome.trial.fault for outcome in outcomes)
    lines += [f"  {fault:28} {counts[fault]:5}" for fault in Fault]
    per_room = Counter(point.room for point in known)
    lines.append("by handler: " + ", ".join(f"{room} {per_room[room]}" for room in rooms()))
    return lines
