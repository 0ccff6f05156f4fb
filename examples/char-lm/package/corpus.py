"""A text as numbers: its characters, and which part of it is for training and which for validation. No PyTorch in here."""

import os
from dataclasses import dataclass
from pathlib import Path

EXAMPLE = Path(__file__).resolve().parent.parent


def folder(variable: str, *, alone: str) -> Path:
    """The folder that the platform names in ``variable``; outside the platform ``alone``, beside the package."""
    return Path(os.environ.get(variable) or EXAMPLE / alone)


def read_text(channel: Path) -> str:
    """All ``.txt`` files of the channel, in the order of their names, one newline between them."""
    files = sorted(channel.glob("*.txt"))
    if not files:
        raise SystemExit(f"no .txt file in {channel}")
    return "\n".join(file.read_text(encoding="utf-8") for file in files)


@dataclass(frozen=True)
class Vocabulary:
    """The characters that a model knows; a character's number is its place in ``characters``."""

    characters: str

    @classmethod
    def of(cls, text: str) -> "Vocabulary":
        return cls("".join(sorted(set(text))))

    def encode(self, text: str) -> list[int]:
        """Raises ValueError on a character outside the vocabulary."""
        number = {character: at for at, character in enumerate(self.characters)}
        unknown = set(text) - number.keys()
        if unknown:
            raise ValueError(f"not in the vocabulary: {sorted(unknown)}")
        return [number[character] for character in text]

    def decode(self, numbers: list[int]) -> str:
        return "".join(self.characters[at] for at in numbers)


def split(text: str, *, validation_share: float) -> tuple[str, str]:
    """Cut once, so that validation is the text's end and no sentence is on both sides but the one that is cut."""
    if not 0 < validation_share < 1:
        raise ValueError("validation_share must lie between 0 and 1")
    cut = round(len(text) * (1 - validation_share))
    return text[:cut], text[cut:]
