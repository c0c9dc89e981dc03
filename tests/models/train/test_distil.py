"""A pool of sentences with soft labels, kept on disk."""

# what needs torch is imported once it is known to be there

from __future__ import annotations

import gzip
import math
from typing import TYPE_CHECKING

import pytest

pytest.importorskip("torch")
pytest.importorskip("transformers")

from models.train.data import Example, TrainingRow
from models.train.distil import PoolShape, draw_pool, label_pool, shift
from models.train.pool_file import read_pool, write_pool
from shared.errors import DataError
from tests.support.tiny_training import tiny_student

if TYPE_CHECKING:
    from pathlib import Path

SHAPE = PoolShape(sentences=10, words_min=2, words_max=4, log_odds_step=0.7)
REVIEWS = [TrainingRow("Good film. Such a fine film. No.", 1), TrainingRow("A dull film. No.", 0)]


def test_a_review_moves_the_odds_towards_its_label() -> None:
    assert shift(0.0, 1, math.log(3)) == pytest.approx(0.75)
    assert shift(0.0, 0, math.log(3)) == pytest.approx(0.25)


def test_a_pool_has_each_sentence_of_fitting_length_once() -> None:
    pool = draw_pool(REVIEWS, SHAPE, seed=3)

    assert sorted(row.text.lower() for row in pool) == [
        "a dull film.",
        "good film.",
        "such a fine film.",
    ]


def test_a_pool_is_drawn_alike_from_the_same_seed() -> None:
    assert draw_pool(REVIEWS, SHAPE, seed=3) == draw_pool(REVIEWS, SHAPE, seed=3)


def test_a_pool_is_no_larger_than_asked() -> None:
    assert len(draw_pool(REVIEWS, PoolShape(2, 2, 4, 0.7), seed=3)) == 2


def test_the_teacher_labels_in_the_order_of_the_pool() -> None:
    teacher = tiny_student()
    pool = draw_pool(REVIEWS, SHAPE, seed=3)
    together = label_pool(teacher, pool, SHAPE)
    alone = [label_pool(teacher, [row], SHAPE)[0] for row in pool]

    assert [one.text for one in together] == [row.text for row in pool]
    for one, other in zip(together, alone, strict=True):
        assert one.positive == pytest.approx(other.positive, abs=1e-5)


def test_a_pool_is_read_as_it_was_written(tmp_path: Path) -> None:
    pool = [Example("a joy", 0.98765), Example("a bore", 0.0)]
    write_pool(tmp_path / "new" / "pool.tsv.gz", pool)

    assert read_pool(tmp_path / "new" / "pool.tsv.gz") == pool


@pytest.mark.parametrize("bad", ["no target", "text\t1.5", "text\tnan", "\t0.5", "text\tmany"])
def test_a_bad_row_of_a_pool_is_refused_with_file_and_row(tmp_path: Path, bad: str) -> None:
    path = tmp_path / "pool.tsv.gz"
    with gzip.open(path, "wt", encoding="utf-8") as file:
        file.write(f"text\tpositive\na joy\t0.9\n{bad}\n")

    with pytest.raises(DataError, match=r"pool\.tsv\.gz: row 3"):
        read_pool(path)


def test_a_missing_pool_is_named(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="run the pool step first"):
        read_pool(tmp_path / "pool.tsv.gz")
