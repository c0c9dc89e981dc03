"""Labels scored by the tokens that a server tells of."""

from __future__ import annotations

import math

import pytest

from shared.runtimes.chat_wire import ChosenToken, LikelyToken
from shared.runtimes.label_scores import score_labels


def token(said: str, chance: float, **others: float) -> ChosenToken:
    likely = [LikelyToken(text, math.log(p)) for text, p in {said: chance, **others}.items()]
    return ChosenToken(said, math.log(chance), likely)


def test_one_token_decides_between_labels_that_begin_differently() -> None:
    told = [token("negative", 0.6, positive=0.2, the=0.2), token("!", 0.9)]

    assert score_labels(told, ("positive", "negative")) == pytest.approx((0.25, 0.75))


def test_capitals_spaces_and_quotes_are_no_matter() -> None:
    told = [token(' "Pos', 0.5, **{" neg": 0.25, "\nPOSITIVE": 0.25})]

    assert score_labels(told, ("positive", "negative")) == pytest.approx((0.75, 0.25))


def test_labels_that_differ_in_capitals_alone_are_told_apart() -> None:
    assert score_labels([token("it", 0.8, IT=0.2)], ("IT", "it")) == pytest.approx((0.2, 0.8))


def test_labels_with_a_common_beginning_are_decided_further_on() -> None:
    told = [token("very", 0.8, bad=0.2), token(" good", 0.75, **{" bad": 0.25})]

    assert score_labels(told, ("very good", "very bad", "bad")) == pytest.approx((0.6, 0.2, 0.2))


def test_a_beginning_that_was_not_taken_is_shared_by_its_labels() -> None:
    told = [token("bad", 0.6, very=0.4)]

    assert score_labels(told, ("very good", "very bad", "bad")) == pytest.approx((0.2, 0.2, 0.6))


def test_a_label_that_begins_another_is_said_when_the_answer_ends_there() -> None:
    labels = ("good", "good enough")

    ended = score_labels([token("good", 0.5), token("<|im_end|>", 0.8, **{" enough": 0.2})], labels)
    went_on = score_labels([token("good", 0.5), token(" enough", 0.9, **{"<end>": 0.1})], labels)

    assert ended == pytest.approx((0.8, 0.2))
    assert went_on == pytest.approx((0.1, 0.9))
    assert score_labels([token("good", 0.5)], labels) == (1.0, 0.0)


def test_space_before_the_label_says_nothing() -> None:
    told = [token(" ", 0.9, yes=0.1), token("no", 0.5, yes=0.5)]

    yes, no = score_labels(told, ("yes", "no")) or (0.0, 0.0)

    assert no == pytest.approx(0.45)
    assert yes == pytest.approx(0.55)


def test_no_label_is_named_by_what_begins_none() -> None:
    assert score_labels([token("I", 0.9, You=0.1)], ("yes", "no")) is None
    assert score_labels([], ("yes", "no")) is None


def test_a_label_that_only_an_alternative_names_is_still_scored() -> None:
    told = [ChosenToken("I", math.log(0.7), [LikelyToken("yes", math.log(0.2))])]

    assert score_labels(told, ("yes", "no")) == (1.0, 0.0)
