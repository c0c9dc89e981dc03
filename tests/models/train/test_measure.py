"""Accuracy, and whether confidence tells right from wrong."""

# what needs torch is imported once it is known to be there

from __future__ import annotations

import pytest

pytest.importorskip("torch")
pytest.importorskip("transformers")

import torch

from models.train.measure import auroc, score


def test_accuracy_is_the_share_of_right_answers() -> None:
    logits = torch.tensor([[2.0, 0.0], [0.0, 2.0], [0.0, 2.0], [2.0, 0.0]])

    assert score(logits, [0, 1, 0, 0]).accuracy == 0.75


def test_confidence_that_orders_right_before_wrong_has_an_auroc_of_one() -> None:
    logits = torch.tensor([[5.0, 0.0], [0.0, 4.0], [0.0, 1.0]])

    assert score(logits, [0, 1, 0]).confidence_auroc == 1.0


def test_ties_count_half() -> None:
    higher, lower = torch.tensor([0.9, 0.7]), torch.tensor([0.7, 0.5])

    assert auroc(higher, lower) == pytest.approx((1 + 1 + 0.5 + 1) / 4)


def test_without_wrong_answers_the_auroc_is_that_of_chance() -> None:
    assert auroc(torch.tensor([0.9]), torch.tensor([])) == 0.5
