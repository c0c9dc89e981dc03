"""Reading labelled rows and cutting them into sentences."""

from __future__ import annotations

import gzip
import random
from typing import TYPE_CHECKING

import pytest

from models.train.data import (
    TrainingRow,
    ending,
    merge,
    read_held_out,
    read_rows,
    read_train,
    sentences,
    smoothed,
    treebank_style,
)
from shared.errors import DataError

if TYPE_CHECKING:
    from pathlib import Path


def write(path: Path, *lines: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    with gzip.open(path, "wt", encoding="utf-8") as file:
        file.write("".join(line + "\n" for line in lines))
    return path


def test_rows_are_read_with_their_labels(tmp_path: Path) -> None:
    path = write(tmp_path / "train.tsv.gz", "text\tlabel", "a joy\t1", "a bore\t0")

    assert read_rows(path) == [TrainingRow("a joy", 1), TrainingRow("a bore", 0)]


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"absent\.tsv\.gz does not exist"):
        read_rows(tmp_path / "absent.tsv.gz")


def test_a_file_that_is_not_gzip_is_named(tmp_path: Path) -> None:
    path = tmp_path / "plain.tsv.gz"
    path.write_text("text\tlabel\n", encoding="utf-8")

    with pytest.raises(DataError, match=r"plain\.tsv\.gz cannot be read as gzipped"):
        read_rows(path)


@pytest.mark.parametrize(
    ("bad", "complaint"),
    [
        ("no label", "has 1 columns"),
        ("one\ttwo\t1", "has 3 columns"),
        ("fine text\t2", "has the label '2'"),
        ("fine text\t", "has the label ''"),
        ("  \t1", "has an empty text"),
    ],
)
def test_a_bad_row_is_refused_with_file_and_row(tmp_path: Path, bad: str, complaint: str) -> None:
    path = write(tmp_path / "train.tsv.gz", "text\tlabel", "a joy\t1", bad)

    with pytest.raises(DataError, match=f"train.tsv.gz: row 3 {complaint}"):
        read_rows(path)


def test_a_wrong_header_is_refused(tmp_path: Path) -> None:
    path = write(tmp_path / "train.tsv.gz", "label\ttext", "1\ta joy")

    with pytest.raises(DataError, match="row 1 is"):
        read_rows(path)


def test_training_rows_leave_out_repeats_and_held_out_texts(tmp_path: Path) -> None:
    held_out_texts = {"sst2": "seen in dev", "rotten_tomatoes": "seen in test"}
    for name in ("sst2", "rotten_tomatoes", "imdb", "amazon_multidomain", "yelp_polarity"):
        text = held_out_texts.get(name, f"held out of {name}")
        write(tmp_path / name / "test.tsv.gz", "text\tlabel", f"{text}\t1")
    write(
        tmp_path / "imdb" / "train.tsv.gz",
        "text\tlabel",
        "A joy!\t1",
        "a  joy\t1",
        "Seen in dev.\t0",
        "seen in TEST\t0",
        "a bore\t0",
    )

    rows = read_train(tmp_path, "imdb", read_held_out(tmp_path))

    assert rows == [TrainingRow("A joy!", 1), TrainingRow("a bore", 0)]


def test_the_first_set_wins_where_two_disagree() -> None:
    first, second = (
        [TrainingRow("a joy .", 1)],
        [TrainingRow("A joy.", 0), TrainingRow("a bore", 0)],
    )

    assert merge(first, second) == [TrainingRow("a joy .", 1), TrainingRow("a bore", 0)]


def test_smoothing_keeps_targets_off_certainty() -> None:
    targets = [
        example.positive for example in smoothed([TrainingRow("a", 0), TrainingRow("b", 1)], 0.05)
    ]

    assert targets == pytest.approx([0.05, 0.95])


def test_a_review_is_cut_into_sentences_without_markup() -> None:
    review = 'Quite a film.<br /><br />"I laughed!" It &amp; I got on well? Yes.'

    assert sentences(review, 2, 9) == ["Quite a film.", '"I laughed!', "It I got on well?"]


def test_the_ending_of_a_review_keeps_its_label() -> None:
    assert ending(TrainingRow("one two <br /> three four", 1), 2) == TrainingRow("three four", 1)


def test_treebank_style_parts_contractions_or_leaves_the_text_alone() -> None:
    rng = random.Random(0)  # no secret
    styled = {treebank_style("It Isn't bad", rng) for _ in range(20)}

    assert styled == {"It Isn't bad", "it is n't bad"}
