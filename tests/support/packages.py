"""Zip files as customers, and attackers, send them."""

import io
import warnings
import zipfile
from collections.abc import Callable

Entry = tuple[str | zipfile.ZipInfo, bytes]

TRAIN = b"print('training')\n"


def a_package(*entries: Entry, method: int = zipfile.ZIP_DEFLATED) -> bytes:
    """A zip of ``entries``, of one train.py when none is given."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", method) as archive, warnings.catch_warnings():
        warnings.simplefilter("ignore")  # duplicate names are what some tests are about
        for name, content in entries or [("train.py", TRAIN)]:
            archive.writestr(name, content)
    return buffer.getvalue()


def an_entry(name: str, change: Callable[[zipfile.ZipInfo], object]) -> zipfile.ZipInfo:
    """An entry's header, changed."""
    info = zipfile.ZipInfo(name)
    info.compress_type = zipfile.ZIP_DEFLATED
    change(info)
    return info
