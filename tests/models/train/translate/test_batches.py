from __future__ import annotations

import random

import pytest

pytest.importorskip("torch")

from models.train.translate.batches import collate, shuffled_batches
from models.train.translate.pieces import PAD_ID, PairIds


def row(prompt: int, answer: int) -> PairIds:
    return PairIds((*range(10, 10 + prompt), *range(50, 50 + answer)), prompt)


def test_the_answer_is_asked_for_from_the_separator_on() -> None:
    batch = collate([row(3, 2), row(2, 5)])
    assert batch.ids.tolist() == [[10, 11, 12, 50, 51, PAD_ID, PAD_ID], [10, 11, *range(50, 55)]]
    assert batch.ids[batch.asked].tolist() == [12, 50, 11, 50, 51, 52, 53]
    assert batch.answers.tolist() == [50, 51, 50, 51, 52, 53, 54]


def test_every_row_is_in_one_batch_and_none_is_too_large() -> None:
    rows = [row(1 + n % 7, 2 + n % 5) for n in range(100)]
    batches = shuffled_batches(rows, 60, random.Random(3))
    assert sum(len(batch.ids) for batch in batches) == 100
    assert sum(len(batch.answers) for batch in batches) == sum(len(r.ids) - r.prompt for r in rows)
    assert all(batch.ids.numel() <= 60 for batch in batches)


def test_the_order_follows_from_the_seed() -> None:
    rows = [row(1 + n % 7, 2 + n % 5) for n in range(100)]
    one, same, other = (
        [batch.ids.tolist() for batch in shuffled_batches(rows, 60, random.Random(seed))]
        for seed in (3, 3, 4)
    )
    assert one == same != other
