from __future__ import annotations

import pytest
from tokenizers import Regex, Tokenizer, pre_tokenizers
from tokenizers.models import Unigram

from shared.runtimes.words import (
    CAPITALISED,
    CAPITALS,
    INITIAL,
    MIXED,
    PLAIN,
    shape_of,
    shapes,
    words,
)
from tests.support.tiny_models import tiny_tokenizer


def read(text: str, tokenizer: Tokenizer | None = None) -> list[str]:
    encoding = (tokenizer or tiny_tokenizer()).encode(text)
    found = words(text, encoding.word_ids, encoding.offsets)
    return [text[word.start : word.end] for word in found]


@pytest.mark.parametrize(
    ("word", "shape"),
    [
        *((word, PLAIN) for word in ("lamb", "1996", "x", ",", "ß", "東京", "3rd")),
        *((word, CAPITALISED) for word in ("Rome", "Éire", "O'brien", "B12a")),
        *((word, CAPITALS) for word in ("EU", "AT&T", "X-15B")),
        *((word, INITIAL) for word in ("J", "É", "7A")),
        *((word, MIXED) for word in ("McDonald", "eBay", "iOS", "pH")),
    ],
)
def test_a_word_is_written_in_one_of_five_ways(word: str, shape: int) -> None:
    assert shape_of(word) == shape


def test_tokens_are_put_together_to_words_and_punctuation_stands_alone() -> None:
    assert read("Good films, very  GOOD") == ["Good", "films", ",", "very", "GOOD"]


def test_every_token_of_a_word_is_told_how_the_word_is_written() -> None:
    text = "Films of A"
    encoding = tiny_tokenizer().encode(text)
    found = words(text, encoding.word_ids, encoding.offsets)
    told = dict(zip(encoding.tokens, shapes(text, len(encoding.ids), found), strict=True))
    assert told["[CLS]"] == told["[SEP]"] == told["o"] == told["##f"] == PLAIN
    assert told["film"] == told["##s"] == CAPITALISED
    assert told["a"] == INITIAL


def test_punctuation_and_spaces_that_a_tokenizer_leaves_at_a_word_are_no_part_of_it() -> None:
    pieces = [
        ("<unk>", 0.0),
        ("▁Rome", -1.0),
        (",", -1.0),
        ("▁of", -1.0),
        ("▁U", -1.0),
        ("S", -2.0),
    ]
    tokenizer = Tokenizer(Unigram(pieces, 0))
    tokenizer.pre_tokenizer = pre_tokenizers.Metaspace()
    assert tokenizer.encode("US Rome, of").word_ids == [0, 0, 1, 1, 2]
    assert read("US Rome, of", tokenizer) == ["US", "Rome", ",", "of"]
    tokenizer.pre_tokenizer = pre_tokenizers.Split(Regex(r" ?\S+"), "isolated")
    assert read("US Rome", tokenizer) == ["US", "Rome"]


def test_a_text_without_words_has_none() -> None:
    assert read("") == read("  \n") == []
