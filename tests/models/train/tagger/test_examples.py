"""Sentences as a tagger learns from them."""

# what needs torch is imported once it is known to be there

from __future__ import annotations

import random

import pytest

pytest.importorskip("torch")

from models.conll import Sentence
from models.train.tagger.examples import LABELS, NOT_ASKED, collate, encode, shuffled_batches
from shared.runtimes.words import CAPITALISED, CAPITALS, PLAIN
from tests.support.tiny_models import tiny_tokenizer

SOUP = Sentence("Good soups of NOT", (("ORG", 0, 10), ("LOC", 14, 17)))


def test_the_first_token_of_each_word_is_labelled_and_no_other() -> None:
    (example,) = encode(tiny_tokenizer(), [SOUP])
    tokens = tiny_tokenizer().encode(SOUP.text).tokens
    named = [LABELS[label] if label != NOT_ASKED else "" for label in example.labels]
    assert dict(zip(tokens, named, strict=True)) == {
        "[CLS]": "",
        "good": "B-ORG",
        "soup": "I-ORG",
        "##s": "",
        "o": "O",
        "##f": "",
        "not": "B-LOC",
        "[SEP]": "",
    }
    assert example.shapes == (PLAIN, CAPITALISED, PLAIN, PLAIN, PLAIN, PLAIN, CAPITALS, PLAIN)


def test_a_batch_asks_nothing_where_it_is_filled_up() -> None:
    short = Sentence("soup", ())
    batch = collate(encode(tiny_tokenizer(), [SOUP, short]))
    assert batch.mask.sum(dim=1).tolist() == [8, 3]
    assert batch.labels[1].tolist() == [NOT_ASKED, 0, *[NOT_ASKED] * 6]
    assert batch.ids.shape == batch.shapes.shape == batch.labels.shape == (2, 8)


def test_every_example_is_in_one_batch() -> None:
    examples = encode(tiny_tokenizer(), [Sentence("soup " * n + "film", ()) for n in range(1, 8)])
    batches = shuffled_batches(examples, 3, random.Random(5))
    lengths = [int(n) for batch in batches for n in batch.mask.sum(dim=1)]
    assert sorted(lengths) == [len(example.ids) for example in examples]
    assert max(len(batch.ids) for batch in batches) == 3
