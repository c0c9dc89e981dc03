from __future__ import annotations

import numpy as np
import pytest

from experiments.evaluation.matrix import TierAnswers
from experiments.nights.classify.figures import SHARES, AskedEdge, measure, sent_up

TEXTS = 200
BETA = 0.3


def answers(labels: np.ndarray, confidence: np.ndarray) -> TierAnswers:
    other = 1.0 - confidence
    rows = np.where(labels[:, None] == 1, np.stack([other, confidence], 1), 0.0)
    rows = np.where(labels[:, None] == 0, np.stack([confidence, other], 1), rows)
    return TierAnswers("edge", rows, np.ones(len(labels), np.int64))


def edge_wrong_at(wrong: int, truth: np.ndarray) -> TierAnswers:
    """An edge that errs on the first texts, of which it is the least sure."""
    labels = truth.copy()
    labels[:wrong] = 1 - labels[:wrong]
    return answers(labels, 0.6 + 0.3 * np.arange(TEXTS) / TEXTS)


def asked(*wrong: int) -> AskedEdge:
    truth = np.arange(TEXTS) % 2
    cloud = answers(truth.copy(), np.full(TEXTS, 0.9))
    return AskedEdge(truth, cloud, [edge_wrong_at(each, truth) for each in wrong])


def test_what_is_gained_and_what_need_not_go_up_any_more() -> None:
    """With 80 wrong 60 go up and 20 stay wrong; with 40 wrong 20 have to, for the same."""
    found = measure(asked(40), asked(80), BETA)

    assert found.texts == TEXTS
    assert found.accuracy.value == pytest.approx(0.8)
    assert found.gain.value == pytest.approx(0.2)
    assert found.gain.interval.low > 0.1
    assert found.auroc == 1.0
    assert found.up.reference == pytest.approx(0.3)
    assert found.up.contender == pytest.approx(0.1)
    assert found.up.share == pytest.approx(2 / 3)


def test_the_same_edge_gains_and_saves_nothing() -> None:
    found = measure(asked(60), asked(60), BETA)

    assert found.gain.value == 0.0
    assert found.up.share == pytest.approx(0.0)


def test_orders_of_arrival_count_in_the_mean() -> None:
    assert measure(asked(20, 60), asked(80, 80), BETA).accuracy.value == pytest.approx(0.8)


def test_the_least_sure_go_up() -> None:
    sample = sent_up(asked(80))

    assert sample.cost.mean(axis=1) == pytest.approx(SHARES)
    assert sample.cost[SHARES.index(BETA), :60].all()
    assert sample.right[SHARES.index(BETA)].mean() == pytest.approx(0.9)
