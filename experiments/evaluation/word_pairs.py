"""The expert of a head as a model of its own: how far hashed words and word pairs get alone."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from experiments.evaluation.tier_models import read_facts

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from experiments.datasets.sets import LabelledSet
    from shared.runtimes import ModelSettings


class ExpertAnswers(NamedTuple):
    """The expert's label for each of n prompts, and its probability; both of shape (n,)."""

    labels: NDArray[np.int64]
    confidence: NDArray[np.float64]


def ask_expert(model: ModelSettings, data: LabelledSet) -> ExpertAnswers | None:
    """Return what the expert of a model's head says to a set; None where the model has no head."""
    facts = read_facts(model)
    if facts.second is None:
        return None
    order = [facts.labels.index(name) for name in data.label_names]
    scores = np.array([facts.second.expert.read(text).scores for text in data.texts])[:, order]
    weights = np.exp(scores - scores.max(axis=1, keepdims=True))
    probabilities = weights / weights.sum(axis=1, keepdims=True)
    return ExpertAnswers(probabilities.argmax(axis=1), probabilities.max(axis=1))
