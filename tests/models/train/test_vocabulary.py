"""A pruned vocabulary keeps ids aligned with the rows of the embedding table."""

# what needs torch is imported once it is known to be there

from __future__ import annotations

import json

import pytest

pytest.importorskip("torch")
pytest.importorskip("transformers")


from typing import TYPE_CHECKING

from models.train.vocabulary import SPECIAL, count_tokens, prune, with_limit
from tests.support.tiny_training import tiny_tokenizer

if TYPE_CHECKING:
    from tokenizers import Tokenizer

TEXTS = [("good film", 3), ("bad film", 2), ("goodness", 1)]


def vocabulary(tokenizer: Tokenizer) -> dict[str, int]:
    return dict(json.loads(tokenizer.to_str())["model"]["vocab"])


def test_tokens_are_counted_with_the_weight_of_their_text() -> None:
    tokenizer = tiny_tokenizer()
    counts = count_tokens(tokenizer, TEXTS)

    by_token = {tokenizer.id_to_token(index): count for index, count in counts.items()}

    assert by_token["film"] == 5
    assert by_token["good"] == 4
    assert by_token["##ness"] == 1


def test_the_most_frequent_words_are_kept() -> None:
    full = tiny_tokenizer()
    frequent = [("ly dull", 1), ("dull film", 1), ("film", 1)]
    kept = vocabulary(prune(full, count_tokens(full, frequent), 59, 0x80).tokenizer)

    assert {"film", "dull"} <= set(kept)
    assert not {"good", "bad", "fine"} & set(kept)


def test_each_new_id_points_at_the_old_id_of_the_same_token() -> None:
    full = tiny_tokenizer()
    pruned = prune(full, count_tokens(full, TEXTS), 61, 0x80)
    old, new = vocabulary(full), vocabulary(pruned.tokenizer)

    assert len(pruned.kept) == len(new) == 61
    assert list(new.values()) == list(range(61))
    assert all(pruned.kept[index] == old[token] for token, index in new.items())


def test_special_tokens_and_characters_are_always_kept() -> None:
    full = tiny_tokenizer()
    kept = vocabulary(prune(full, {}, 0, 0x80).tokenizer)

    assert {*SPECIAL, "a", "z", "##a", "##z"} <= set(kept)
    assert "film" not in kept


def test_a_dropped_word_is_read_in_pieces_and_not_as_unknown() -> None:
    full = tiny_tokenizer()
    pruned = prune(full, count_tokens(full, [("good", 1)]), 58, 0x80)

    assert pruned.tokenizer.encode("film").tokens == [
        "[CLS]", "f", "##i", "##l", "##m", "[SEP]"
    ]  # fmt: skip


def test_special_ids_follow_into_the_frame_around_each_text() -> None:
    full = tiny_tokenizer()
    pruned = prune(full, count_tokens(full, TEXTS), 61, 0x80).tokenizer
    ids = pruned.encode("good film").ids

    assert ids[0] == pruned.token_to_id("[CLS]")
    assert ids[-1] == pruned.token_to_id("[SEP]")


def test_a_limit_keeps_the_end_of_long_texts_and_leaves_the_original_alone() -> None:
    full = tiny_tokenizer()
    limited = with_limit(full, 4)

    assert limited.encode("good film bad fine").tokens == ["[CLS]", "bad", "fine", "[SEP]"]
    assert len(full.encode("good film bad fine").tokens) == 6
