from __future__ import annotations

import gzip
from typing import TYPE_CHECKING

import pytest

from models.train.translate.captions import CaptionPair, read_captions, read_pairs, write_pairs
from shared.errors import DataError
from tests.support.tiny_captions import CAPTIONS, write_captions

if TYPE_CHECKING:
    from pathlib import Path


def test_pairs_are_read_by_the_name_of_their_part(tmp_path: Path) -> None:
    pairs = read_pairs(write_captions(tmp_path), "dev")
    assert [(pair.source, pair.target) for pair in pairs] == list(CAPTIONS)


def test_what_is_written_is_read_again(tmp_path: Path) -> None:
    pairs = [CaptionPair("A dog.", "Ein Hund."), CaptionPair("Ice", "Eis – für alle")]
    write_pairs(tmp_path / "pairs.tsv.gz", pairs)
    assert read_captions(tmp_path / "pairs.tsv.gz") == pairs


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("text\tlabel\nA dog.\t1\n", r"row 1 is 'text\\tlabel'; the header must be"),
        ("source\ttarget\nA dog.\n", r"row 2 has 1 columns; it must have 2"),
        ("source\ttarget\nA dog.\t \n", r"row 2 has an empty caption"),
    ],
)
def test_what_is_wrong_in_a_file_is_named(tmp_path: Path, text: str, reason: str) -> None:
    path = tmp_path / "odd.tsv.gz"
    path.write_bytes(gzip.compress(text.encode()))
    with pytest.raises(DataError, match=reason):
        read_captions(path)


def test_a_file_that_is_missing_or_not_packed_is_named(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"train\.tsv\.gz does not exist"):
        read_pairs(tmp_path, "train")
    (tmp_path / "plain.tsv.gz").write_text("source\ttarget\n")
    with pytest.raises(DataError, match="cannot be read as gzipped UTF-8"):
        read_captions(tmp_path / "plain.tsv.gz")
