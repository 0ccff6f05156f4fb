"""A promise that was not kept."""


class Violation(AssertionError):
    """``promise`` names what should have held, ``found`` says what was there instead."""

    def __init__(self, promise: str, found: object) -> None:
        super().__init__(f"{promise}: {found}")
        self.promise = promise
        self.found = found


def expect(holds: bool, promise: str, found: object = "") -> None:
    if not holds:
        raise Violation(promise, found)


def expect_equal(found: object, wanted: object, promise: str) -> None:
    if found != wanted:
        raise Violation(promise, f"{found} instead of {wanted}")
