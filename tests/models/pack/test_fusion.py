from __future__ import annotations

import numpy as np
import pytest

from models.pack.fusion import fit_weight, fuse_rows
from shared.runtimes.second_opinion import fuse


def drawn(labels: int, *, model: float, expert: float) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Probabilities, scores, and labels that follow both by these weights."""
    draw = np.random.default_rng(labels)
    logs, scores = draw.normal(0, 1.5, (2, 20_000, labels))
    probabilities = np.exp(logs) / np.exp(logs).sum(axis=1, keepdims=True)
    noise = draw.gumbel(0, 1, (20_000, labels))
    return probabilities, scores, (model * logs + expert * scores + noise).argmax(axis=1)


@pytest.mark.parametrize("labels", [2, 4])
@pytest.mark.parametrize(("model", "expert"), [(1.0, 0.5), (0.4, 1.2)])
def test_the_weight_is_what_the_expert_counts_beside_the_model(
    labels: int, model: float, expert: float
) -> None:
    found = fit_weight(*drawn(labels, model=model, expert=expert))

    assert found == pytest.approx(expert / model, rel=0.1)


def test_an_expert_that_speaks_against_the_labels_counts_nothing() -> None:
    assert fit_weight(*drawn(2, model=1.0, expert=-0.5)) == 0.0


def test_an_expert_beside_a_model_that_knows_nothing_counts_most() -> None:
    assert fit_weight(*drawn(2, model=-0.2, expert=1.0)) == 20.0


def test_many_texts_are_fused_as_one_is() -> None:
    probabilities, scores, _ = drawn(4, model=1.0, expert=1.0)

    fused = fuse_rows(probabilities[:50], scores[:50], 1.7)

    for row in range(50):
        one = fuse(probabilities[row].tolist(), scores[row].tolist(), 1.7)
        assert fused[row] == pytest.approx(one, rel=1e-12)
