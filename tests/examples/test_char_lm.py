"""The parts of char-lm that need no PyTorch: reading, numbering and cutting the text."""

import importlib.util
from pathlib import Path
from types import ModuleType

import pytest

from examples.build import DATASETS, HERE


@pytest.fixture(scope="module")
def corpus() -> ModuleType:
    spec = importlib.util.spec_from_file_location("char_lm_corpus", HERE / "char-lm" / "package" / "corpus.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_encoding_and_decoding_are_inverse_on_the_book(corpus: ModuleType) -> None:
    text = corpus.read_text(DATASETS["char-lm"].path.parent)
    vocabulary = corpus.Vocabulary.of(text)
    numbers = vocabulary.encode(text)
    assert vocabulary.decode(numbers) == text
    assert min(numbers) == 0
    assert max(numbers) == len(vocabulary.characters) - 1 == 69


def test_unknown_character_is_named(corpus: ModuleType) -> None:
    with pytest.raises(ValueError, match="'z'"):
        corpus.Vocabulary.of("abc").encode("az")


@pytest.mark.parametrize("share", [0.1, 0.25, 0.5])
def test_split_keeps_every_character_once_and_in_order(corpus: ModuleType, share: float) -> None:
    text = "".join(chr(65 + at % 26) for at in range(1000))
    training, validation = corpus.split(text, validation_share=share)
    assert training + validation == text
    assert len(validation) == 1000 * share


@pytest.mark.parametrize("share", [0, 1, -0.1, 1.5])
def test_split_refuses_a_share_that_leaves_a_side_empty(corpus: ModuleType, share: float) -> None:
    with pytest.raises(ValueError, match="between 0 and 1"):
        corpus.split("text", validation_share=share)


def test_channel_of_several_files_reads_in_name_order(corpus: ModuleType, tmp_path: Path) -> None:
    (tmp_path / "b.txt").write_text("second")
    (tmp_path / "a.txt").write_text("first")
    assert corpus.read_text(tmp_path) == "first\nsecond"


def test_channel_without_text_ends_with_a_sentence(corpus: ModuleType, tmp_path: Path) -> None:
    with pytest.raises(SystemExit, match=r"no \.txt file"):
        corpus.read_text(tmp_path)
