"""Turn examples into padded batches of similar length, in an order fixed by a seed."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch

from models.train.pools import groups_of

if TYPE_CHECKING:
    import random
    from collections.abc import Sequence

    from tokenizers import Tokenizer

    from models.train.data import Example


@dataclass(frozen=True)
class TokenBatch:
    """`input_ids` and `attention_mask` are int64 (rows, tokens); `positive` float32 (rows,)."""

    input_ids: torch.Tensor
    attention_mask: torch.Tensor
    positive: torch.Tensor


@dataclass(frozen=True)
class Encoded:
    """One example as token ids, special tokens included."""

    ids: tuple[int, ...]
    positive: float


def encode(tokenizer: Tokenizer, examples: Sequence[Example]) -> list[Encoded]:
    """Token ids of each example; the tokenizer must not pad, and cuts where it was told to."""
    encodings = tokenizer.encode_batch_fast([example.text for example in examples])
    return [
        Encoded(tuple(encoding.ids), example.positive)
        for encoding, example in zip(encodings, examples, strict=True)
    ]


def shuffled_batches(
    encoded: Sequence[Encoded], rows_per_batch: int, rng: random.Random
) -> list[TokenBatch]:
    """Every example once, in random order, batched with others of about its length."""
    return [collate(group) for group in groups_of(encoded, rows_per_batch, rng)]


def collate(group: Sequence[Encoded]) -> TokenBatch:
    """One batch, padded with id 0 to its longest row."""
    tokens = max(len(one.ids) for one in group)
    input_ids = torch.zeros(len(group), tokens, dtype=torch.int64)
    for index, one in enumerate(group):
        input_ids[index, : len(one.ids)] = torch.tensor(one.ids)
    lengths = torch.tensor([len(one.ids) for one in group])
    mask = (torch.arange(tokens)[None, :] < lengths[:, None]).to(torch.int64)
    return TokenBatch(input_ids, mask, torch.tensor([one.positive for one in group]))
