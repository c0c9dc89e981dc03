"""Everything that is trained on, read once: labelled sentences, labelled reviews, dev sets."""

from __future__ import annotations

import random
from dataclasses import dataclass
from typing import TYPE_CHECKING

from models.train.data import (
    REVIEW_SETS,
    SENTENCE_SETS,
    TrainingRow,
    merge,
    read_held_out,
    read_rows,
    read_train,
)

if TYPE_CHECKING:
    from pathlib import Path

ASIDE_MAX = 450
_ASIDE_SEED = 59154


@dataclass(frozen=True)
class Corpus:
    """The rows of each training set by name, and the rows on which steps are compared."""

    train: dict[str, tuple[TrainingRow, ...]]
    dev: dict[str, tuple[TrainingRow, ...]]

    @property
    def gold(self) -> list[TrainingRow]:
        """Labelled sentences: all of SST-2, and what Rotten Tomatoes adds to it."""
        first, second = (self.train[name] for name in SENTENCE_SETS)
        return merge(first, second)

    @property
    def reviews(self) -> list[TrainingRow]:
        """Labelled reviews of several sentences."""
        return [row for name in REVIEW_SETS for row in self.train[name]]

    @property
    def weighted_texts(self) -> list[tuple[str, int]]:
        """Texts with their weight in counting tokens: a sentence counts as seven reviews.

        A third of the reviews is enough to know which words are frequent.
        """
        sentences = [(row.text, 7) for name in SENTENCE_SETS for row in self.train[name]]
        return sentences + [(row.text, 1) for row in self.reviews[::3]]

    @property
    def sources(self) -> dict[str, int]:
        """The training rows used of each file, by its path within the data folder."""
        return {f"{name}/train.tsv.gz": len(rows) for name, rows in self.train.items()}


def read_corpus(root: Path) -> Corpus:
    """Read all sets under `root`. Raises DataError naming the file that is missing or bad.

    SST-2 has dev rows of its own. Of each set of reviews some training rows, the same each time,
    are left aside: a tenth, `ASIDE_MAX` at most.
    """
    held_out = read_held_out(root)
    train = {n: tuple(read_train(root, n, held_out)) for n in (*SENTENCE_SETS, *REVIEW_SETS)}
    dev = {"sst2": tuple(read_rows(root / "sst2" / "dev.tsv.gz"))}
    for name in REVIEW_SETS:
        dev[name], train[name] = _set_aside(train[name])
    return Corpus(train, dev)


def _set_aside(
    rows: tuple[TrainingRow, ...],
) -> tuple[tuple[TrainingRow, ...], tuple[TrainingRow, ...]]:
    order = list(rows)
    random.Random(_ASIDE_SEED).shuffle(order)  # noqa: S311  # a choice of rows, no secret
    count = min(ASIDE_MAX, len(order) // 10)
    return tuple(order[:count]), tuple(order[count:])
