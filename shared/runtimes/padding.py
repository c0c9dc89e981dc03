"""Prompts of different length as one batch, filled up where the model does not look."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence

    from shared.runtimes.bundle_files import Side


class Padding(NamedTuple):
    """The token that fills a prompt up, and at which end.

    A decoder that classifies by its last token finds that by this one, so it has to be the model's.
    """

    token: int = 0
    side: Side = "right"


def pad(batch: Sequence[Sequence[int]], padding: Padding) -> tuple[np.ndarray, np.ndarray]:
    """Return int64 ids and their mask, both of shape (prompts, longest prompt)."""
    longest = max(map(len, batch))
    ids = np.full((len(batch), longest), padding.token, np.int64)
    mask = np.zeros_like(ids)
    for row, tokens in enumerate(batch):
        count = len(tokens)
        where = slice(0, count) if padding.side == "right" else slice(longest - count, longest)
        ids[row, where] = tokens
        mask[row, where] = 1
    return ids, mask
