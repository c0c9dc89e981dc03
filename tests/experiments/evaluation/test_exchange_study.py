"""A model that comes in another's place half-way: what the study measures of it."""

from dataclasses import replace

import numpy as np
import pytest

from experiments.evaluation.exchange_study import follow, relation
from experiments.evaluation.matrix import Matrix, TierAnswers
from tests.support.matrices import random_matrix

TOLERANCE = 0.1


@pytest.fixture(scope="module")
def matrix() -> Matrix:
    return random_matrix(4_000, seed=3)


def confused(tier: TierAnswers, share: float) -> TierAnswers:
    """Give the opposite answer to a share of the prompts, as surely as ever."""
    turned = np.random.default_rng(1).random(len(tier.labels)) < share
    return replace(
        tier,
        probabilities=np.where(turned[:, None], tier.probabilities[:, ::-1], tier.probabilities),
    )


def test_an_exchange_for_the_same_model_changes_nothing(matrix: Matrix) -> None:
    without = follow(matrix, None, TOLERANCE, seed=1)

    assert follow(matrix, matrix.tiers[0], TOLERANCE, seed=1) == without
    assert without.noticed is None
    assert without.disagreed <= TOLERANCE


def test_a_policy_that_is_not_told_notices_a_confused_model_and_says_after_how_many(
    matrix: Matrix,
) -> None:
    course = follow(matrix, confused(matrix.tiers[0], 0.4), TOLERANCE, seed=1)

    assert course.noticed is not None
    assert 1 <= course.noticed <= 600
    assert course.alarms >= 1


def test_a_policy_that_is_told_begins_anew_and_sends_more(matrix: Matrix) -> None:
    known = follow(matrix, None, TOLERANCE, seed=1)
    told = follow(matrix, matrix.tiers[0], TOLERANCE, seed=1, told=True)

    assert told.sent_after > known.sent_after
    assert told.disagreed <= TOLERANCE


def test_throughout_the_new_model_answers_from_the_first_prompt(matrix: Matrix) -> None:
    worse = confused(matrix.tiers[0], 0.4)
    only = replace(matrix, tiers=(worse, *matrix.tiers[1:]))

    throughout = follow(matrix, worse, TOLERANCE, seed=1, throughout=True)

    assert throughout == follow(only, None, TOLERANCE, seed=1)


def test_the_relation_tells_a_change_from_none(matrix: Matrix) -> None:
    same = relation(matrix, matrix.tiers[0])
    worse = relation(matrix, confused(matrix.tiers[0], 0.4))

    assert same.foretold == pytest.approx(same.found, abs=0.02)
    assert same.labels_needed > 10_000
    assert worse.found > worse.foretold + 0.1
    assert worse.labels_needed < 200
