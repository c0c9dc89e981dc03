"""Cut a WordPiece vocabulary down to the tokens that the training text needs.

Dropped words are still read: WordPiece falls back to shorter pieces, down to characters. The
ids are renumbered without gaps in their old order, and `Pruned.kept` says which old row each
new id had, so that an embedding table can follow. Leaves the model itself alone.
"""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from tokenizers import Tokenizer

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

SPECIAL = ("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]")
_TEXTS_PER_READ = 1000


@dataclass(frozen=True)
class Pruned:
    """A smaller tokenizer and, for each of its ids in order, the id in the tokenizer before."""

    tokenizer: Tokenizer
    kept: tuple[int, ...]


def count_tokens(tokenizer: Tokenizer, weighted: Iterable[tuple[str, int]]) -> Counter[int]:
    """How often each token id occurs in (text, weight) pairs; a weight counts a text so often."""
    counts: Counter[int] = Counter()
    pairs = list(weighted)
    for start in range(0, len(pairs), _TEXTS_PER_READ):
        chunk = pairs[start : start + _TEXTS_PER_READ]
        encodings = tokenizer.encode_batch_fast([text for text, _ in chunk])
        for encoding, (_, weight) in zip(encodings, chunk, strict=True):
            for token_id in encoding.ids:
                counts[token_id] += weight
    return counts


def prune(
    tokenizer: Tokenizer, counts: Mapping[int, int], size: int, characters_below: int
) -> Pruned:
    """Keep special tokens, characters and then the most frequent tokens, `size` in all.

    Characters are kept alone and as continuations when their code point is under
    `characters_below`; the frequent ones above it have to earn their place like words.
    """
    spec: dict[str, Any] = json.loads(tokenizer.to_str())
    old_ids: dict[str, int] = spec["model"]["vocab"]
    chosen = {t for t in old_ids if t in SPECIAL or _is_character(t, characters_below)}
    by_count = sorted(old_ids, key=lambda token: (-counts.get(old_ids[token], 0), old_ids[token]))
    for token in by_count:
        if len(chosen) >= size:
            break
        chosen.add(token)
    ordered = sorted(chosen, key=old_ids.__getitem__)
    new_ids = {token: index for index, token in enumerate(ordered)}
    return Pruned(_rebuild(spec, new_ids), tuple(old_ids[token] for token in ordered))


def with_limit(tokenizer: Tokenizer, tokens_max: int) -> Tokenizer:
    """Copy it so that it keeps the last `tokens_max` tokens of a text and never pads.

    Who writes a review sums up at its end.
    """
    copy = Tokenizer.from_str(tokenizer.to_str())
    copy.no_padding()
    copy.enable_truncation(tokens_max, direction="left")
    return copy


def _is_character(token: str, characters_below: int) -> bool:
    bare = token.removeprefix("##")
    return len(bare) == 1 and ord(bare) < characters_below


def _rebuild(spec: dict[str, Any], new_ids: Mapping[str, int]) -> Tokenizer:
    spec["model"]["vocab"] = dict(new_ids)
    for added in spec["added_tokens"]:
        added["id"] = new_ids[added["content"]]
    for token, special in spec["post_processor"]["special_tokens"].items():
        special["ids"] = [new_ids[token]]
    return Tokenizer.from_str(json.dumps(spec))
