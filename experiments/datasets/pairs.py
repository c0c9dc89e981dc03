"""Prompts with the text that is wanted for each, such as sentences and their translations."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import msgspec

from experiments.datasets.read import open_source
from experiments.datasets.sets import draw_rows
from shared.errors import DataError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from experiments.datasets.source import Source


class PairSet(msgspec.Struct, frozen=True):
    """Prompts, and for each the text that a generation is held against."""

    name: str
    texts: tuple[str, ...]
    references: tuple[str, ...]

    def __len__(self) -> int:
        """Return the number of rows."""
        return len(self.texts)

    def take(self, rows: Sequence[int]) -> PairSet:
        """Return a set of these rows in this order."""
        return PairSet(
            self.name,
            tuple(self.texts[row] for row in rows),
            tuple(self.references[row] for row in rows),
        )


def read_pairs(source: Source, environ: Mapping[str, str] = os.environ) -> PairSet:
    """Read prompts from the column ``source.text``, and what is wanted from ``source.label``.

    Files are found and read as labelled sets are. Raises ``DataError`` naming the file and the row.
    """
    place, name, rows = open_source(source, environ)
    pairs: list[tuple[str, str]] = []
    for row in rows:
        for what, text in ((source.text, row.text), (source.label, row.label)):
            if not isinstance(text, str) or not text.strip():
                raise DataError(f"{place}: row {row.number} has no {what}; remove it or fill it in")
        pairs.append((str(row.text), str(row.label)))
    if not pairs:
        raise DataError(f"{place}: has no rows; give a set of prompts and texts")
    if source.pick == "drawn" and source.rows is not None and source.rows < len(pairs):
        pairs = [pairs[row] for row in draw_rows(len(pairs), source.rows, source.seed)]
    texts, references = zip(*pairs, strict=True)
    return PairSet(name, texts, references)
