from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sacrebleu.metrics.chrf import CHRF

from shared.tasks.chrf import chrf

texts = st.text("abcä é\n東", max_size=40)
PAIRS = (
    ("Zwei Hunde spielen im Schnee.", "Zwei Hunde tollen im tiefen Schnee herum."),
    ("a", "b"),
    ("ab", "abc"),
    ("the same", "the same"),
    ("", "something"),
    ("long" * 50, "short"),
)


@given(texts, texts)
def test_it_is_what_sacrebleu_computes_for_a_sentence(text: str, reference: str) -> None:
    if "".join(text.split()) or "".join(reference.split()):
        expected = CHRF().sentence_score(text, [reference]).score / 100
        assert chrf(text, reference) == pytest.approx(expected, abs=1e-12)


@pytest.mark.parametrize(("text", "reference"), PAIRS)
@pytest.mark.parametrize("beta", [1, 2])
def test_it_is_what_sacrebleu_computes_whatever_recall_counts(
    text: str, reference: str, beta: int
) -> None:
    expected = CHRF(beta=beta).sentence_score(text, [reference]).score / 100
    assert chrf(text, reference, beta=beta) == pytest.approx(expected, abs=1e-12)


@given(texts, texts)
def test_with_a_beta_of_one_neither_text_is_the_reference(one: str, other: str) -> None:
    assert chrf(one, other, beta=1.0) == pytest.approx(chrf(other, one, beta=1.0))


def test_white_space_does_not_count_and_nothing_equals_nothing() -> None:
    assert chrf("a b\nc", "abc") == 1.0
    assert chrf(" ", "") == 1.0
    assert chrf("", "x") == 0.0
