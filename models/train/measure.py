"""Measure a classifier: accuracy, and how well its confidence tells right from wrong."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch

from models.train.batches import encode
from models.train.data import Example, TrainingRow
from models.train.fit import predict

if TYPE_CHECKING:
    from collections.abc import Sequence

    from models.train.student import Student


@dataclass(frozen=True)
class Score:
    """Shares in [0, 1] over `rows` texts.

    `confidence_auroc` is the probability that a right answer has more confidence than a wrong
    one, ties counting half; 0.5 is no better than chance. `mean_confidence` above `accuracy`
    means that the model is too sure of itself.
    """

    rows: int
    accuracy: float
    confidence_auroc: float
    mean_confidence: float


def measure(student: Student, rows: Sequence[TrainingRow], label: str) -> Score:
    """Score the student on labelled rows."""
    encoded = encode(student.tokenizer, [Example(row.text, row.label) for row in rows])
    return score(predict(student.model, encoded, label), [row.label for row in rows])


def score(logits: torch.Tensor, labels: Sequence[int]) -> Score:
    """Score (rows, 2) logits against labels 0 or 1."""
    confidence, answer = torch.softmax(logits.double(), dim=-1).max(dim=-1)
    right = answer == torch.tensor(labels)
    return Score(
        rows=len(labels),
        accuracy=float(right.double().mean()),
        confidence_auroc=auroc(confidence[right], confidence[~right]),
        mean_confidence=float(confidence.mean()),
    )


def auroc(higher: torch.Tensor, lower: torch.Tensor) -> float:
    """Return the share of pairs in which the value from `higher` is above the one from `lower`."""
    if len(higher) == 0 or len(lower) == 0:
        return 0.5
    ordered = lower.sort().values
    below = torch.searchsorted(ordered, higher, right=False)
    not_above = torch.searchsorted(ordered, higher, right=True)
    return float((below + not_above).double().mean() / (2 * len(lower)))
