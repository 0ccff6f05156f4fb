"""Does this host's clock agree with the control plane's? Signed requests are refused when it does not."""

from node_agent.checks.base import Finding, Level

_NOTICEABLE_SECONDS = 30.0
_REFUSED_SECONDS = 240.0  # AWS refuses signatures that are five minutes off


def check_clock(skew_seconds: float | None) -> Finding:
    """``skew_seconds``: this host's clock minus the other; None when it could not be asked."""
    if skew_seconds is None:
        return Finding("clock", Level.WARNING, "not compared: the machine is not paired, or the control plane is out of reach")
    off = f"{abs(skew_seconds):.0f} s {'ahead' if skew_seconds > 0 else 'behind'}"
    if abs(skew_seconds) >= _REFUSED_SECONDS:
        return Finding("clock", Level.PROBLEM, f"{off}: queues would refuse this machine; switch time synchronisation on")
    if abs(skew_seconds) >= _NOTICEABLE_SECONDS:
        return Finding("clock", Level.WARNING, f"{off}: switch time synchronisation on before it grows")
    return Finding("clock", Level.OK, "agrees with the control plane")
