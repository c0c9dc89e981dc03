"""What is trained on, and what is left aside."""

from __future__ import annotations

import gzip
from typing import TYPE_CHECKING

from models.train.corpus import read_corpus
from models.train.data import REVIEW_SETS, SENTENCE_SETS

if TYPE_CHECKING:
    from pathlib import Path


def write_sets(root: Path, rows: int) -> Path:
    for name in (*SENTENCE_SETS, *REVIEW_SETS):
        (root / name).mkdir()
        for part in ("train", "dev"):
            texts = [f"{part} text {row} of {name}\t{row % 2}" for row in range(rows)]
            with gzip.open(root / name / f"{part}.tsv.gz", "wt", encoding="utf-8") as file:
                file.write("\n".join(["text\tlabel", *texts]) + "\n")
    return root


def test_a_tenth_of_the_reviews_is_left_aside_and_not_trained_on(tmp_path: Path) -> None:
    corpus = read_corpus(write_sets(tmp_path, 40))

    for name in REVIEW_SETS:
        assert len(corpus.dev[name]) == 4
        assert len(corpus.train[name]) == 36
        assert not set(corpus.dev[name]) & set(corpus.train[name])
    assert len(corpus.train["sst2"]) == len(corpus.dev["sst2"]) == 40


def test_the_same_reviews_are_left_aside_each_time(tmp_path: Path) -> None:
    root = write_sets(tmp_path, 40)

    assert read_corpus(root) == read_corpus(root)
