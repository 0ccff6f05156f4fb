"""The operator's commands."""

import io

import pytest

from gpupool.admin import main
from gpupool.bootstrap import build_accounts, build_tickets
from gpupool.clock import FixedClock
from gpupool.errors import AuthRequired
from gpupool.twins import MemoryPorts


@pytest.fixture
def ports() -> MemoryPorts:
    return MemoryPorts(clock=FixedClock())


def admin(ports: MemoryPorts, *arguments: str, stdin: str = "") -> tuple[int, dict[str, object]]:
    return main(arguments, ports=lambda: ports, stdin=io.StringIO(stdin))


def a_customer(ports: MemoryPorts, credits: int = 100) -> tuple[int, dict[str, object]]:
    return admin(ports, "customer", "--email", "ada@example.com", "--password", "correct horse", "--credits", str(credits))


def test_a_customer_is_created_with_credits_and_can_sign_in(ports: MemoryPorts) -> None:
    status, answer = a_customer(ports)
    assert (status, answer["created"], answer["credits_available"]) == (0, True, 100)
    login = build_accounts(ports).login(email="ada@example.com", password="correct horse")
    assert login.customer.id == answer["customer_id"]


def test_repeating_it_changes_nothing(ports: MemoryPorts) -> None:
    _, first = a_customer(ports)
    status, again = a_customer(ports, credits=500)
    assert status == 0
    assert again == first | {"created": False}


def test_the_password_can_come_from_standard_input(ports: MemoryPorts) -> None:
    admin(ports, "customer", "--email", "ada@example.com", "--password", "-", stdin="from a pipe\n")
    build_accounts(ports).login(email="ada@example.com", password="from a pipe")


def test_a_refusal_is_an_answer_with_exit_code_one(ports: MemoryPorts) -> None:
    status, answer = admin(ports, "customer", "--email", "nobody", "--password", "correct horse")
    assert status == 1
    assert answer["error"]["code"] == "VALIDATION_FAILED"  # type: ignore[index]


def test_credits_are_granted_to_a_known_customer(ports: MemoryPorts) -> None:
    a_customer(ports)
    status, answer = admin(ports, "grant", "--email", "ADA@example.com", "--credits", "50", "--note", "sorry")
    assert (status, answer["credits_available"]) == (0, 150)
    status, answer = admin(ports, "grant", "--email", "bob@example.com", "--credits", "50")
    assert (status, answer["error"]["code"]) == (1, "CUSTOMER_NOT_FOUND")  # type: ignore[index]


@pytest.mark.parametrize("credits", ["-1", "0"])
def test_a_grant_is_positive(ports: MemoryPorts, credits: str) -> None:
    a_customer(ports)
    assert admin(ports, "grant", "--email", "ada@example.com", "--credits", credits)[0] == 1


def test_negative_opening_credits_create_nobody(ports: MemoryPorts) -> None:
    with pytest.raises(SystemExit):
        a_customer(ports, credits=-5)
    assert not ports.world.customers


def test_a_pairing_code_lets_one_machine_join(ports: MemoryPorts) -> None:
    status, answer = admin(ports, "pairing-code", "--tier", "community")
    assert (status, answer["tier"]) == (0, "community")
    assert answer["code"]
    assert len(ports.world.nodes) == 1


def test_a_customer_can_be_given_limits_of_its_own_and_lose_them_again(ports: MemoryPorts) -> None:
    a_customer(ports)
    status, answer = admin(ports, "limits", "--email", "ada@example.com", "--live-jobs", "20", "--units-per-day", "5000")
    assert (status, answer["live_jobs"], answer["units_per_day"]) == (0, 20, 5_000)
    _, answer = admin(ports, "limits", "--email", "ada@example.com")
    assert (answer["live_jobs"], answer["units_per_day"], answer["live_now"]) == (None, None, 0)


def test_without_a_password_a_customer_is_invited_with_credits(ports: MemoryPorts) -> None:
    status, answer = admin(ports, "customer", "--email", "ada@example.com", "--credits", "100", "--name", "Ada")
    assert status == 0
    assert answer == {
        "email": "ada@example.com",
        "name": "Ada",
        "credits": 100,
        "token": answer["token"],
        "expires_at": "2026-01-08T00:00:00+00:00",
        "accept": "POST /api/v1/customer/auth/accept-invitation",
    }
    assert not ports.world.customers
    login = build_tickets(ports).accept(str(answer["token"]), password="correct horse")
    assert (login.customer.name, ports.ledger.balance(login.customer.id).available) == ("Ada", 100)


def test_an_address_with_an_account_is_not_invited(ports: MemoryPorts) -> None:
    a_customer(ports)
    status, answer = admin(ports, "customer", "--email", "ADA@example.com")
    assert (status, answer["error"]["code"]) == (1, "EMAIL_TAKEN")  # type: ignore[index]


def test_an_empty_password_is_refused_and_invites_nobody(ports: MemoryPorts) -> None:
    status, answer = admin(ports, "customer", "--email", "ada@example.com", "--password", "")
    assert (status, answer["error"]["code"]) == (1, "VALIDATION_FAILED")  # type: ignore[index]
    assert not ports.world.keys


def test_a_reset_locks_the_customer_out_until_the_token_is_used(ports: MemoryPorts) -> None:
    _, made = a_customer(ports)
    session = build_accounts(ports).login(email="ada@example.com", password="correct horse")
    status, answer = admin(ports, "reset-password", "--email", "ADA@example.com")
    assert (status, answer["customer_id"], answer["email"]) == (0, made["customer_id"], "ada@example.com")
    assert answer["accept"] == "POST /api/v1/customer/auth/reset-password"
    assert answer["expires_at"] == "2026-01-02T00:00:00+00:00"
    with pytest.raises(AuthRequired):
        build_accounts(ports).by_session(session.token)
    assert (
        build_tickets(ports).reset_password(str(answer["token"]), password="battery staple").customer.id == made["customer_id"]
    )

    status, answer = admin(ports, "reset-password", "--email", "bob@example.com")
    assert (status, answer["error"]["code"]) == (1, "CUSTOMER_NOT_FOUND")  # type: ignore[index]
