"""Pairing codes and device keys: how they are made, spelled and hashed. Neither is ever stored in the clear."""

import hashlib
import hmac
import re
from base64 import urlsafe_b64encode
from collections.abc import Callable

# Crockford's base 32: no I, L, O or U, so that a code can be read aloud and typed from a screen.
_ALPHABET = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
_MISREAD = str.maketrans("ILO", "110", "- ")
_CODE_LENGTH = 15  # 75 bits
_CODE_BYTES = 10
_KEY_BYTES = 32
_GROUP = 5
RandomHex = Callable[[int], str]
_DEVICE_KEY = re.compile(r"nk_([0-9a-f-]{36})_[A-Za-z0-9_-]{43}")


def new_code(random_hex: RandomHex) -> str:
    """A pairing code such as ``7K3QF-0MZ4X-PRT9A``."""
    bits = int(random_hex(_CODE_BYTES), 16)
    letters = "".join(_ALPHABET[bits >> 5 * place & 31] for place in range(_CODE_LENGTH))
    return "-".join(letters[start : start + _GROUP] for start in range(0, _CODE_LENGTH, _GROUP))


def code_hash(code: str) -> str:
    """SHA-256 of the code as it was meant: case, dashes, spaces and misread letters make no difference."""
    return _sha256(code.upper().translate(_MISREAD))


def new_device_key(node_id: str, random_hex: RandomHex) -> str:
    """``nk_<node id>_<43 characters>``: the id finds the row, the rest (256 bits) proves it."""
    secret = urlsafe_b64encode(bytes.fromhex(random_hex(_KEY_BYTES))).rstrip(b"=").decode()
    return f"nk_{node_id}_{secret}"


def node_id_in(device_key: str) -> str | None:
    """The node that a key claims to be; None when it is not spelled like a device key."""
    spelled = _DEVICE_KEY.fullmatch(device_key)
    return spelled[1] if spelled else None


def key_hash(device_key: str) -> str:
    """SHA-256 suffices for a key of 256 random bits; a slow hash would only slow every heartbeat."""
    return _sha256(device_key)


def key_matches(device_key: str, *, expected_hash: str) -> bool:
    return hmac.compare_digest(key_hash(device_key), expected_hash)


def _sha256(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()
