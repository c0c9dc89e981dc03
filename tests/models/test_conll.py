from __future__ import annotations

import gzip
from typing import TYPE_CHECKING

import pytest

from models.conll import Sentence, read_sentences
from shared.errors import DataError

if TYPE_CHECKING:
    from pathlib import Path

FILE = """-DOCSTART- -X- O O

Ada NNP I-NP I-PER
Lovelace NNP I-NP I-PER
met VBD I-VP O
Rome NNP I-NP I-LOC
Paris NNP I-NP B-LOC

Nobody NN I-NP O
"""


def write(tmp_path: Path, text: str) -> Path:
    path = tmp_path / "some.conll"
    path.write_text(text, encoding="utf-8")
    return path


def test_sentences_are_read_with_the_places_of_their_entities(tmp_path: Path) -> None:
    first, second = read_sentences(write(tmp_path, FILE))
    text = "Ada Lovelace met Rome Paris"
    assert first == Sentence(text, (("PER", 0, 12), ("LOC", 17, 21), ("LOC", 22, 27)))
    assert second == Sentence("Nobody", ())


def test_iob2_says_the_same_and_columns_between_are_not_needed(tmp_path: Path) -> None:
    other = "Ada\tB-PER\nLovelace\tI-PER\nmet\tO\nRome\tB-LOC\nParis\tB-LOC\n\nNobody\tO\n"
    assert read_sentences(write(tmp_path, other)) == read_sentences(write(tmp_path, FILE))


def test_a_packed_file_is_read_and_the_first_sentences_alone(tmp_path: Path) -> None:
    path = tmp_path / "some.conll.gz"
    path.write_bytes(gzip.compress(FILE.encode()))
    assert [sentence.text for sentence in read_sentences(path, 1)] == [
        "Ada Lovelace met Rome Paris"
    ]


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("Ada I-PER\nmet\n", r"line 2 has a token without a tag"),
        ("Ada I-PER\n\nmet X-VP\n", r"line 3 has the tag 'X-VP'; a tag is O, or B- or I-"),
        ("Ada I-\n", r"line 1 has the tag 'I-'"),
        ("-DOCSTART- O\n\n", r"has no sentence"),
        ("", r"has no sentence"),
    ],
)
def test_what_is_wrong_in_a_file_is_named(tmp_path: Path, text: str, reason: str) -> None:
    with pytest.raises(DataError, match=reason):
        read_sentences(write(tmp_path, text))


def test_a_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="nowhere"):
        read_sentences(tmp_path / "nowhere.conll")
