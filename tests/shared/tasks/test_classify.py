from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.errors import InvalidPrompt
from shared.tasks import check
from shared.tasks.classify import max_probability, read, softmax

logits = st.lists(st.floats(-1e3, 1e3), min_size=2, max_size=8)


@given(logits)
def test_softmax_is_what_numpy_computes(values: list[float]) -> None:
    weights = np.exp(np.array(values) - np.max(values))
    assert softmax(values) == pytest.approx(tuple(weights / weights.sum()), abs=1e-12)


@given(logits)
def test_the_confidence_is_the_largest_probability(values: list[float]) -> None:
    probabilities = softmax(values)
    index, confidence = max_probability(probabilities)
    assert confidence == max(probabilities) == probabilities[index]
    assert 1 / len(values) - 1e-12 <= confidence <= 1


def test_two_equal_logits_are_even_and_the_first_label_wins() -> None:
    assert max_probability(softmax([3.0, 3.0])) == (0, 0.5)


def test_huge_logits_do_not_overflow() -> None:
    assert softmax([1e300, 0.0]) == (1.0, 0.0)


def test_a_known_value_comes_out() -> None:
    assert softmax([math.log(3), 0.0]) == pytest.approx((0.75, 0.25))


@pytest.mark.parametrize("values", [[], [math.nan, 0.0], [math.inf, 0.0]])
def test_logits_that_say_nothing_are_refused(values: list[float]) -> None:
    with pytest.raises(ValueError, match="not finite"):
        softmax(values)


def test_labels_can_be_named_with_the_request() -> None:
    wanted = read({"labels": ["leak", "no leak"]})
    assert wanted is not None
    assert (wanted.labels, wanted.instruction) == (("leak", "no leak"), "")
    assert read({}) is None


@pytest.mark.parametrize(
    ("options", "fault"),
    [
        ({"labels": ["one"]}, "length >= 2"),
        ({"labels": ["one", "one"]}, "one of the labels twice"),
        ({"labels": ["one", ""]}, "length >= 1"),
        ({"instruction": "Which?"}, "missing required field `labels`"),
        ({"label": ["a", "b"]}, "no option 'label'; did you mean labels"),
        ({"labels": ["a", "\ud800"]}, "lone surrogates"),
    ],
)
def test_labels_that_cannot_be_told_apart_are_refused(
    options: dict[str, object], fault: str
) -> None:
    with pytest.raises(InvalidPrompt, match=fault):
        check("classify", options)
