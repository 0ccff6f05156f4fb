"""What an operator does from a terminal: ``python -m gpupool.admin <command>``. Prints one JSON object.

Runs with the operator's own AWS credentials against the tables that the environment names, in the cloud as on a laptop.
"""

import argparse
import json
import sys
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, TextIO

from gpupool.errors import Conflict, CoreError

if TYPE_CHECKING:
    from gpupool.ports import Ports

Answer = dict[str, Any]
_AUTH = "/api/v1/customer/auth"


def main(arguments: Sequence[str], *, ports: "Callable[[], Ports]", stdin: TextIO) -> tuple[int, Answer]:
    """Exit code and answer; a refusal is an answer too, with exit code 1."""
    parsed = _parser().parse_args(arguments)
    try:
        return 0, parsed.run(parsed, ports(), stdin)
    except CoreError as refusal:
        return 1, {"error": {"code": refusal.code, "message": refusal.message, "details": refusal.details}}


def _customer(parsed: argparse.Namespace, ports: "Ports", stdin: TextIO) -> Answer:
    """Creates a customer with credits. One that is there already keeps its password and gets nothing, so it may be repeated.

    Without a password the customer is invited instead, to choose one.
    """
    from gpupool.bootstrap import build_accounts, build_credits

    if parsed.password is None:
        return _invite(parsed, ports)
    accounts, credits = build_accounts(ports), build_credits(ports)
    password = stdin.readline().rstrip("\n") if parsed.password == "-" else parsed.password  # noqa: S105 - a sign, no password
    try:
        customer = accounts.create_customer(email=parsed.email, password=password, name=parsed.name or parsed.email)
    except Conflict:
        customer = accounts.customer_by_email(parsed.email)
        created = False
    else:
        created = True
        if parsed.credits:
            credits.grant(customer.id, amount=parsed.credits, note="opening credits")
    available = credits.balance(customer.id).available
    return {"customer_id": customer.id, "email": customer.email, "created": created, "credits_available": available}


def _invite(parsed: argparse.Namespace, ports: "Ports") -> Answer:
    """An invitation; its token is shown here and never again. EMAIL_TAKEN when the address has an account."""
    from gpupool.bootstrap import build_tickets

    made = build_tickets(ports).invite(email=parsed.email, name=parsed.name or parsed.email, credits=parsed.credits)
    invitation = made.ticket
    return {
        "email": invitation.email,
        "name": invitation.name,
        "credits": invitation.credits,
        "token": made.token,
        "expires_at": invitation.expires_at.isoformat(timespec="seconds"),
        "accept": f"POST {_AUTH}/accept-invitation",
    }


def _reset_password(parsed: argparse.Namespace, ports: "Ports", _stdin: TextIO) -> Answer:
    """Ends the customer's password and every session; whoever gets the token may choose another password, once."""
    from gpupool.bootstrap import build_tickets

    made = build_tickets(ports).lock_out(parsed.email)
    return {
        "customer_id": made.ticket.owner_id,
        "email": made.ticket.email,
        "token": made.token,
        "expires_at": made.ticket.expires_at.isoformat(timespec="seconds"),
        "accept": f"POST {_AUTH}/reset-password",
    }


def _grant(parsed: argparse.Namespace, ports: "Ports", _stdin: TextIO) -> Answer:
    from gpupool.bootstrap import build_accounts, build_credits

    customer = build_accounts(ports).customer_by_email(parsed.email)
    credits = build_credits(ports)
    entry = credits.grant(customer.id, amount=parsed.credits, note=parsed.note)
    return {"customer_id": customer.id, "entry_id": entry.id, "credits_available": credits.balance(customer.id).available}


def _limits(parsed: argparse.Namespace, ports: "Ports", _stdin: TextIO) -> Answer:
    """Maxima of one customer's own; those that are not named go back to everybody's."""
    from gpupool.bootstrap import build_accounts

    customer = build_accounts(ports).customer_by_email(parsed.email)
    quota = ports.limits.set_maxima(customer.id, live_jobs=parsed.live_jobs, units_per_day=parsed.units_per_day)
    return {
        "customer_id": customer.id,
        "live_jobs": quota.max_live_jobs,
        "units_per_day": quota.max_units_per_day,
        "live_now": len(quota.live_jobs),
        "units_today": quota.units_today,
    }


def _pairing_code(parsed: argparse.Namespace, ports: "Ports", _stdin: TextIO) -> Answer:
    from gpupool.bootstrap import build_pairing
    from gpupool.nodes.model import Tier

    tier = Tier(parsed.tier)
    return {"code": build_pairing(ports).create_code(tier), "tier": tier}


def _not_negative(text: str) -> int:
    number = int(text)
    if number < 0:
        raise argparse.ArgumentTypeError("must not be negative")
    return number


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="gpupool.admin", description="Operate the pool.")
    commands = parser.add_subparsers(required=True, metavar="command")

    customer = commands.add_parser("customer", help="create a customer, or invite one")
    customer.add_argument("--email", required=True)
    customer.add_argument("--password", help="'-' reads it from standard input; without it the customer is invited")
    customer.add_argument("--credits", type=_not_negative, default=0, help="granted when the customer is new")
    customer.add_argument("--name", default="")
    customer.set_defaults(run=_customer)

    reset = commands.add_parser("reset-password", help="end a customer's password and sessions, and let it choose another")
    reset.add_argument("--email", required=True)
    reset.set_defaults(run=_reset_password)

    grant = commands.add_parser("grant", help="give credits to a customer")
    grant.add_argument("--email", required=True)
    grant.add_argument("--credits", type=int, required=True)
    grant.add_argument("--note", default="")
    grant.set_defaults(run=_grant)

    limits = commands.add_parser("limits", help="give a customer limits of its own; without numbers, take them back")
    limits.add_argument("--email", required=True)
    limits.add_argument("--live-jobs", type=_not_negative)
    limits.add_argument("--units-per-day", type=_not_negative)
    limits.set_defaults(run=_limits)

    code = commands.add_parser("pairing-code", help="let one machine join")
    code.add_argument("--tier", required=True, choices=["controlled", "community"])
    code.set_defaults(run=_pairing_code)
    return parser


if __name__ == "__main__":
    from gpupool.bootstrap import ports as deployed

    status, answer = main(sys.argv[1:], ports=deployed, stdin=sys.stdin)
    print(json.dumps(answer))
    sys.exit(status)
