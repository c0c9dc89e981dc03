"""Make a pool of sentences from reviews and let a teacher say how positive each one is.

A review's own label is known but says little about one of its sentences. The teacher reads
the sentence; the review's label then shifts the teacher's log-odds by a fixed step, as Bayes'
rule would for a sentence that agrees with its review exp(step) times as often as not.
"""

from __future__ import annotations

import math
import random
from dataclasses import dataclass
from typing import TYPE_CHECKING

from models.train.batches import encode
from models.train.data import Example, TrainingRow, sentences, treebank_style
from models.train.fit import predict

if TYPE_CHECKING:
    from collections.abc import Sequence

    from models.train.student import Student


@dataclass(frozen=True)
class PoolShape:
    """How many sentences of which length the pool has, and how far a review's label shifts."""

    sentences: int
    words_min: int
    words_max: int
    log_odds_step: float


def draw_pool(reviews: Sequence[TrainingRow], shape: PoolShape, seed: int) -> list[TrainingRow]:
    """Draw distinct sentences from the reviews in random order, each with its review's label.

    Half are in the style of SST; a sentence that occurs in two reviews may appear in both styles.
    """
    rng = random.Random(seed)  # noqa: S311  # order of training, no secret
    found: dict[str, int] = {}
    for review in reviews:
        for sentence in sentences(review.text, shape.words_min, shape.words_max):
            found.setdefault(treebank_style(sentence, rng), review.label)
    pool = [TrainingRow(text, label) for text, label in found.items()]
    rng.shuffle(pool)
    return pool[: shape.sentences]


def label_pool(teacher: Student, pool: Sequence[TrainingRow], shape: PoolShape) -> list[Example]:
    """Each sentence with the teacher's probability of positive, shifted by its review's label."""
    unlabelled = [Example(row.text, 0.5) for row in pool]
    logits = predict(teacher.model, encode(teacher.tokenizer, unlabelled), "teacher")
    odds = (logits[:, 1] - logits[:, 0]).tolist()
    return [
        Example(row.text, shift(log_odds, row.label, shape.log_odds_step))
        for row, log_odds in zip(pool, odds, strict=True)
    ]


def shift(log_odds: float, label: int, step: float) -> float:
    """Return the probability of positive after moving the log-odds by `step` towards the label."""
    return 1 / (1 + math.exp(-(log_odds + (step if label == 1 else -step))))
