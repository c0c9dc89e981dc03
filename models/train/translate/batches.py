"""Rows of about one length as padded batches, in an order fixed by a seed."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch

from models.train.pools import shuffled_groups
from models.train.translate.pieces import PAD_ID

if TYPE_CHECKING:
    import random
    from collections.abc import Sequence

    from models.train.translate.pieces import PairIds

_ROWS_PER_POOL = 6400


@dataclass(frozen=True)
class CaptionBatch:
    """`ids` int64 (rows, tokens), padded at the right; `asked` says which places answer.

    The model is judged at the places of `asked` (rows, tokens), of bool: from the separator to
    the last token before the end. `answers` are the ids that come next there, in row order.
    """

    ids: torch.Tensor
    asked: torch.Tensor
    answers: torch.Tensor


def shuffled_batches(
    rows: Sequence[PairIds], tokens_per_batch: int, rng: random.Random
) -> list[CaptionBatch]:
    """Every row once, in random order, batched with others of about its length."""

    def cut(pool: Sequence[PairIds]) -> list[list[PairIds]]:
        return _cut(pool, tokens_per_batch)

    return [collate(group) for group in shuffled_groups(rows, rng, _ROWS_PER_POOL, cut)]


def _cut(pool: Sequence[PairIds], tokens_per_batch: int) -> list[list[PairIds]]:
    groups: list[list[PairIds]] = [[]]
    for row in pool:
        if groups[-1] and (len(groups[-1]) + 1) * len(row.ids) > tokens_per_batch:
            groups.append([])
        groups[-1].append(row)
    return groups


def collate(group: Sequence[PairIds]) -> CaptionBatch:
    """One batch, padded to its longest row."""
    longest = max(len(row.ids) for row in group)
    ids = torch.full((len(group), longest), PAD_ID)
    asked = torch.zeros(len(group), longest, dtype=torch.bool)
    for index, row in enumerate(group):
        ids[index, : len(row.ids)] = torch.tensor(row.ids)
        asked[index, row.prompt - 1 : len(row.ids) - 1] = True
    return CaptionBatch(ids, asked, ids[:, 1:][asked[:, :-1]])
