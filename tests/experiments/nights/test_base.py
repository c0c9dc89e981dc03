"""What the base of the study is taught."""

from __future__ import annotations

import random

import pytest

pytest.importorskip("torch")

from experiments.hotspot.facts import generate
from experiments.nights.base import _others, _rows, copy_row


def test_an_example_asks_the_same_in_other_words_and_answers_it() -> None:
    (fact,) = generate(1, 3)
    row = copy_row(fact, "Ida Holm", random.Random(1))

    (example,) = row.examples
    assert {row.text, example.content} < set(fact.wordings())
    assert row.text != example.content
    assert row.answer == example.answer == "Ida Holm"


def test_examples_are_of_entities_of_which_no_fact_is() -> None:
    facts = generate(300, 3)
    known = facts[:100]
    rows = _rows(known, _others(facts, 3), 3)
    shown = [row for row in rows if row.examples]

    assert 0.55 < len(shown) / len(rows) < 0.65
    assert {row.text for row in rows if not row.examples} == {
        text for fact in known for text in fact.wordings()
    }
    assert not {row.text for row in shown} & {text for fact in facts for text in fact.wordings()}
