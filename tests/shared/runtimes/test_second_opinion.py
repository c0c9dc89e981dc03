from __future__ import annotations

import math

import numpy as np
import pytest

from shared.runtimes.agreement_head import AgreementHead, Expert
from shared.runtimes.second_opinion import SecondOpinion, fuse
from tests.support.heads import WEIGHTS_OF_HEAD, random_table

TEXT = "half good , half bad: such an evening!"


def plain_reference(probabilities: list[float], scores: list[float], weight: float) -> np.ndarray:
    """A product of experts, said without logarithms."""
    product = np.array(probabilities) * np.exp(np.array(scores)) ** weight
    pooled: np.ndarray = product / product.sum()
    return pooled


@pytest.mark.parametrize(
    ("probabilities", "scores"),
    [
        ([0.3, 0.7], [0.0, -1.4]),
        ([1e-12, 1 - 1e-12], [0.0, -9.0]),
        ([0.1, 0.2, 0.3, 0.4], [0.0, 2.5, -0.3, -7.0]),
    ],
)
@pytest.mark.parametrize("weight", [0.25, 1.0, 3.5])
def test_fused_probabilities_are_the_normalised_product(
    probabilities: list[float], scores: list[float], weight: float
) -> None:
    fused = fuse(probabilities, scores, weight)

    assert fused == pytest.approx(plain_reference(probabilities, scores, weight), rel=1e-9)
    assert math.fsum(fused) == pytest.approx(1.0, abs=1e-12)


def test_an_expert_that_says_nothing_changes_nothing() -> None:
    assert fuse([0.2, 0.5, 0.3], [4.0, 4.0, 4.0], 2.0) == pytest.approx([0.2, 0.5, 0.3])


def test_a_label_that_the_model_rules_out_stays_out() -> None:
    assert fuse([0.0, 1.0], [30.0, 0.0], 1.0) == pytest.approx([0.0, 1.0])


@pytest.mark.parametrize("labels", [2, 4])
def test_answer_and_confidence_are_those_of_the_fused_probabilities(labels: int) -> None:
    constants = [0.1] * (labels - 1)
    expert = Expert(random_table(labels), scale=0.02, constants=constants)
    head = AgreementHead(expert, WEIGHTS_OF_HEAD)
    own = tuple(np.random.default_rng(labels).dirichlet(np.ones(labels)).tolist())
    fused = plain_reference(list(own), list(expert.read(TEXT).scores), 2.0)

    judged = SecondOpinion(expert, weight=2.0, head=head).judge(TEXT, own)

    assert judged.probabilities == pytest.approx(fused, rel=1e-9)
    assert judged.label == fused.argmax()
    assert judged.confidence == head.confidence(TEXT, judged.probabilities, judged.label)
    assert SecondOpinion(expert, weight=2.0).judge(TEXT, own).confidence == max(
        judged.probabilities
    )


def test_a_head_alone_leaves_the_probabilities_to_the_bit() -> None:
    expert = Expert(random_table(), scale=0.02, constants=[0.1])
    head, own = AgreementHead(expert, WEIGHTS_OF_HEAD), (0.1 + 0.2, 0.7)

    judged = SecondOpinion(expert, head=head).judge(TEXT, own)

    assert judged == (own, 1, head.confidence(TEXT, own, 1))
