"""How work inside the sandbox fails: one exception that carries the platform's word for the cause."""

# The words of the platform's failure vocabulary that this program may say. It cannot import the vocabulary; a test
# compares the two.
SCRIPT_FAILED = "SCRIPT_FAILED"
OUT_OF_MEMORY = "OUT_OF_MEMORY"
NO_MODEL = "NO_MODEL"
OUTPUT_TOO_LARGE = "OUTPUT_TOO_LARGE"
PROCESS_LIMIT_EXCEEDED = "PROCESS_LIMIT_EXCEEDED"
PACKAGE_INVALID = "PACKAGE_INVALID"
DISK_FULL = "DISK_FULL"

CODES = frozenset(
    {SCRIPT_FAILED, OUT_OF_MEMORY, NO_MODEL, OUTPUT_TOO_LARGE, PROCESS_LIMIT_EXCEEDED, PACKAGE_INVALID, DISK_FULL}
)


class UnitFailedError(Exception):
    """The unit cannot succeed; ``message`` is a sentence for the customer."""

    def __init__(self, code: str, message: str, *, exit_code: int | None = None) -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.exit_code = exit_code
