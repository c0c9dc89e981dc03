"""What a fit is made to."""

# what needs torch is imported once it is known to be there

from __future__ import annotations

import pytest

pytest.importorskip("torch")
pytest.importorskip("transformers")

from models.train.corpus import Corpus
from models.train.data import REVIEW_SETS, Example, TrainingRow
from models.train.recipe import Mixture, mix

SENTENCES = (TrainingRow("good", 1), TrainingRow("bad", 0))
REVIEWS = tuple(TrainingRow(f"review {number}", number % 2) for number in range(5))
CORPUS = Corpus(
    {"sst2": SENTENCES, "rotten_tomatoes": (), **dict.fromkeys(REVIEW_SETS, REVIEWS)}, {}
)
POOL = (Example("a sentence", 0.7), Example("another", 0.3))


def test_a_mixture_has_what_its_numbers_say() -> None:
    found = mix(CORPUS, POOL, Mixture(1, 4, 3, 0.1), seed=1)

    assert found[0] == POOL[0]
    assert sum(one.text.startswith("review") for one in found) == 4
    assert [one for one in found if one.text == "good"] == [Example("good", 0.9)] * 3
    assert len(found) == 1 + 4 + 6


def test_where_there_are_fewer_reviews_than_asked_for_all_are_taken_once() -> None:
    found = mix(CORPUS, (), Mixture(0, 1_000, 0, 0.1), seed=1)

    assert len(found) == len(REVIEW_SETS) * len(REVIEWS)
