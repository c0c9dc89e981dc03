"""Fitting: a step lowers the loss, and a seed decides everything."""

# what needs torch is imported once it is known to be there

from __future__ import annotations

import math
import random

import pytest

pytest.importorskip("torch")
pytest.importorskip("transformers")

from typing import TYPE_CHECKING

import torch

from models.train.batches import Encoded, collate, encode, shuffled_batches
from models.train.data import Example
from models.train.fit import (
    Schedule,
    classifier_loss,
    fit,
    predict,
    soft_cross_entropy,
    train_step,
)
from tests.support.tiny_training import tiny_student

if TYPE_CHECKING:
    from models.train.student import Student

EXAMPLES = [
    Example("good film", 0.95),
    Example("fine film", 0.95),
    Example("bad film", 0.05),
    Example("dull film", 0.05),
] * 8
SCHEDULE = Schedule(epochs=6, rows_per_batch=8, peak_learning_rate=2e-2)


def encoded(student: Student) -> list[Encoded]:
    return encode(student.tokenizer, EXAMPLES)


def test_a_step_lowers_the_loss_of_its_batch() -> None:
    student = tiny_student()
    batch = collate(encoded(student)[:8])
    optimizer = torch.optim.AdamW(student.model.parameters(), lr=1e-3)

    before = train_step(student.model, batch, classifier_loss, optimizer, gradient_norm_max=1.0)
    after = train_step(student.model, batch, classifier_loss, optimizer, gradient_norm_max=1.0)

    assert after < before


def test_training_learns_what_the_words_mean() -> None:
    student = tiny_student()
    fit(student.model, encoded(student), SCHEDULE, seed=5, label="test")

    logits = predict(student.model, encoded(student), "test")

    assert logits.argmax(dim=1).tolist() == [1, 1, 0, 0] * 8


def test_the_same_seed_gives_the_same_weights_and_another_seed_does_not() -> None:
    first, second, other = tiny_student(), tiny_student(), tiny_student()
    for student, seed in ((first, 5), (second, 5), (other, 6)):
        fit(student.model, encoded(student), SCHEDULE, seed=seed, label="test")

    weights = [s.model.classifier.weight for s in (first, second, other)]
    assert torch.equal(weights[0], weights[1])
    assert not torch.equal(weights[0], weights[2])


def test_the_loss_is_least_where_the_odds_equal_the_target() -> None:
    positive = torch.tensor([0.8])
    losses = {
        p: float(soft_cross_entropy(torch.tensor([[1 - p, p]]).log(), positive))
        for p in (0.6, 0.7, 0.8, 0.9, 0.99)
    }

    assert min(losses, key=losses.__getitem__) == 0.8
    assert losses[0.8] == pytest.approx(-(0.8 * math.log(0.8) + 0.2 * math.log(0.2)))


def test_padding_does_not_change_an_answer() -> None:
    student = tiny_student()
    texts = [Example("good", 1.0), Example("good film bad film fine film", 1.0)]
    together = predict(student.model, encode(student.tokenizer, texts), "test")
    alone = predict(student.model, encode(student.tokenizer, texts[:1]), "test")

    torch.testing.assert_close(together[:1], alone)


def test_every_example_is_in_exactly_one_batch() -> None:
    rows = [Encoded(tuple(range(2 + index % 7)), index / 100) for index in range(100)]
    batches = shuffled_batches(rows, 8, random.Random(1))  # no secret

    seen = sorted(round(float(p) * 100) for batch in batches for p in batch.positive)
    assert seen == list(range(100))


def test_padding_is_masked() -> None:
    batch = collate([Encoded((2, 5, 3), 1.0), Encoded((2, 3), 0.0)])

    assert batch.input_ids.tolist() == [[2, 5, 3], [2, 3, 0]]
    assert batch.attention_mask.tolist() == [[1, 1, 1], [1, 1, 0]]
