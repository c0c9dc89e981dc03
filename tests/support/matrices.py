"""Answer matrices made up for tests: no model has run."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from experiments.datasets.sets import LabelledSet, Part
from experiments.evaluation.matrix import Matrix, TierAnswers
from experiments.evaluation.offline import replay
from shared.cascade.policies import KeepAll, PassAll

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    from experiments.evaluation.burden import Burden
    from experiments.evaluation.offline import Replay

NAMES = ("negative", "positive")
TIERS = ("device", "edge", "cloud")
SKILL = (1.0, 2.0, 3.0)


def random_matrix(
    prompts: int = 500, *, seed: int = 0, tiers: tuple[str, ...] = TIERS, longest_chars: int = 300
) -> Matrix:
    """Tiers that are the surer and the more often right the higher they stand."""
    draw = np.random.default_rng(seed)
    labels = draw.integers(0, 2, prompts)
    texts = tuple("é" * int(chars) for chars in draw.integers(1, longest_chars, prompts))
    data = LabelledSet("made up", texts, tuple(labels.tolist()), NAMES, (Part("made up", prompts),))
    return Matrix(data, tuple(_answers(tier, i, labels, draw) for i, tier in enumerate(tiers)))


def _answers(tier: str, index: int, labels: np.ndarray, draw: np.random.Generator) -> TierAnswers:
    skill = SKILL[min(index, 2)]
    logit = draw.normal(skill, 2.0, len(labels)) * np.where(labels == 1, 1, -1)
    positive = 1 / (1 + np.exp(-logit))
    elapsed_us = draw.integers(1, 300 * 10**index, len(labels))
    return TierAnswers(tier, np.stack([1 - positive, positive], axis=1), elapsed_us)


def straight_costs(
    matrix: Matrix, accounting: Callable[[Replay[Any]], Burden]
) -> NDArray[np.float64]:
    """What each prompt costs if the lowest tier sends it straight to each tier: (tiers, n)."""
    others = [KeepAll()] * (len(matrix.tiers) - 1)
    replays = [replay(matrix, [KeepAll(), *others])]
    replays += [replay(matrix, [PassAll(up=up), *others]) for up in range(1, len(matrix.tiers))]
    return np.stack([accounting(replayed).per_prompt for replayed in replays])
