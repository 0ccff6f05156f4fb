"""Invitations and password resets: an operator hands out a token, and whoever holds it chooses a password, once."""

from collections.abc import Callable

from gpupool.accounts.decide import check_email, check_password, sha256, signed_in, with_password
from gpupool.accounts.model import TICKET_LIFETIME, TICKET_PREFIX, Customer, Login, NewTicket, Purpose, Ticket
from gpupool.accounts.passwords import PasswordHasher
from gpupool.accounts.service import busy, email_taken, new_session
from gpupool.accounts.store import AccountStore
from gpupool.clock import Clock
from gpupool.errors import AlreadyExists, NotFound, StaleWrite, ValidationFailed
from gpupool.ids import new_id
from gpupool.ledger.service import Credits

_WRITE_TRIES = 10
_REFUSALS = {
    Purpose.INVITATION: (
        "INVITATION_INVALID",
        "This invitation is unknown, used or expired; sign in if you accepted it, or ask for a new one.",
    ),
    Purpose.RESET: (
        "RESET_TOKEN_INVALID",
        "This reset token is unknown, used or expired; sign in if you chose a password, or ask for a new one.",
    ),
}


class Tickets:
    """``random_hex(n)`` yields 2n random hex digits from a source fit for secrets."""

    def __init__(
        self,
        *,
        store: AccountStore,
        passwords: PasswordHasher,
        credits: Credits,
        random_hex: Callable[[int], str],
        clock: Clock,
    ) -> None:
        self._store = store
        self._passwords = passwords
        self._credits = credits
        self._random_hex = random_hex
        self._clock = clock

    def invite(self, *, email: str, name: str, credits: int) -> NewTicket:
        """An invitation to open an account with ``credits``. EMAIL_TAKEN when the address has one."""
        check_email(email)
        if self._store.customer_by_email(email) is not None:
            raise email_taken()
        # The customer's id is settled here, so that the opening credits are one entry however often accepting is tried.
        return self._issue(Purpose.INVITATION, owner_id=new_id(), email=email.strip(), name=name, credits=credits)

    def accept(self, token: str, *, password: str, name: str | None = None) -> Login:
        """The invited customer, signed in. INVITATION_INVALID for an unknown, used or expired token.

        The credits come first and under an id of their own, the account, its session and the end of the invitation last and
        in one write: whoever is interrupted can do it again, and no account is ever without its credits.
        """
        for _ in range(_WRITE_TRIES):
            ticket = self._valid(token, Purpose.INVITATION)
            check_password(password, email=ticket.email)
            if self._store.customer_by_email(ticket.email) is not None:
                raise email_taken()
            now = self._clock.now()
            invited = Customer(ticket.owner_id, ticket.email, name or ticket.name, self._passwords.hash(password), now)
            login, session = new_session(invited, random_hex=self._random_hex, now=now)
            customer, _ = signed_in(invited, session, now=now)
            try:
                self._credits.open_account(ticket.owner_id, amount=ticket.credits)
                self._store.add_customer(customer, session=session, ticket=ticket)
            except StaleWrite:
                continue
            except AlreadyExists as error:
                raise email_taken() from error
            return login
        raise busy()

    def lock_out(self, email: str) -> NewTicket:
        """Ends every session and the password of a customer; the ticket lets its holder choose another. API keys go on.

        CUSTOMER_NOT_FOUND when nobody has the address.
        """
        for _ in range(_WRITE_TRIES):
            customer = self._store.customer_by_email(email)
            if customer is None:
                raise NotFound("No customer has this e-mail address.", code="CUSTOMER_NOT_FOUND", field="/email")
            # A password that nobody knows: signing in is refused as ever, after the same work.
            locked, ended = with_password(customer, self._passwords.hash(self._random_hex(32)))
            try:
                self._store.update_customer(locked, ended=ended)
            except StaleWrite:
                continue
            return self._issue(
                Purpose.RESET, owner_id=customer.id, email=customer.email, replaces_sha256=sha256(locked.password_hash)
            )
        raise busy()

    def reset_password(self, token: str, *, password: str) -> Login:
        """Another password and a session. RESET_TOKEN_INVALID for an unknown, used, expired or replaced token."""
        for _ in range(_WRITE_TRIES):
            ticket = self._valid(token, Purpose.RESET)
            customer = self._store.customer(ticket.owner_id)
            if customer is None or sha256(customer.password_hash) != ticket.replaces_sha256:
                raise _refusal(Purpose.RESET)
            check_password(password, email=customer.email, field="/new_password")
            now = self._clock.now()
            login, session = new_session(customer, random_hex=self._random_hex, now=now)
            renewed, ended = with_password(customer, self._passwords.hash(password))
            changed, _ = signed_in(renewed, session, now=now)
            try:
                self._store.update_customer(changed, session=session, ended=ended, ticket=ticket)
            except StaleWrite:
                continue
            return login
        raise busy()

    def _issue(
        self, purpose: Purpose, *, owner_id: str, email: str, name: str = "", credits: int = 0, replaces_sha256: str = ""
    ) -> NewTicket:
        now = self._clock.now()
        token = TICKET_PREFIX[purpose] + self._random_hex(32)
        expires_at = now + TICKET_LIFETIME[purpose]
        ticket = Ticket(sha256(token), purpose, owner_id, email, now, expires_at, name, credits, replaces_sha256)
        self._store.add_ticket(ticket)
        return NewTicket(ticket, token)

    def _valid(self, token: str, purpose: Purpose) -> Ticket:
        ticket = self._store.ticket(sha256(token))
        if ticket is None or ticket.purpose is not purpose or ticket.expires_at <= self._clock.now():
            raise _refusal(purpose)
        return ticket


def _refusal(purpose: Purpose) -> ValidationFailed:
    code, message = _REFUSALS[purpose]
    return ValidationFailed(message, code=code, field="/token")
