"""Password hashing: argon2id with the library's parameters, which follow RFC 9106."""

from typing import Protocol


class PasswordHasher(Protocol):
    def hash(self, password: str) -> str:
        """A salted hash; takes as long as ``verify``, on purpose."""

    def verify(self, password_hash: str, password: str) -> bool: ...


class Argon2Hasher:
    """Imports argon2 on first use: only a sign-in needs it."""

    def hash(self, password: str) -> str:
        from argon2 import PasswordHasher as Argon2

        return Argon2().hash(password)

    def verify(self, password_hash: str, password: str) -> bool:
        from argon2 import PasswordHasher as Argon2
        from argon2.exceptions import InvalidHashError, VerificationError

        try:
            return Argon2().verify(password_hash, password)
        except (VerificationError, InvalidHashError):
            return False
