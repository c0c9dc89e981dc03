"""Read labelled reviews and cut them into sentence-sized training examples.

Files are gzipped, tab-separated, with the header `text<TAB>label` and labels 0 (negative) or
1 (positive). Leaves out tokenising (see `batches`) and labelling by a model (see `distil`).
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from models.train.columns import read_columns

if TYPE_CHECKING:
    import random
    from collections.abc import Iterable, Sequence
    from pathlib import Path

SENTENCE_SETS = ("sst2", "rotten_tomatoes")
REVIEW_SETS = ("imdb", "amazon_multidomain", "yelp_polarity")

_HEADER = "text\tlabel"
_MARKUP = re.compile(r"<[^>]{1,20}>|&#?\w{2,6};")
_SENTENCE_END = re.compile(r"(?<=[.!?])[\"')]*\s+")
_CONTRACTED_NOT = re.compile(r"(?<=\w)n't\b", re.IGNORECASE)


@dataclass(frozen=True)
class TrainingRow:
    """One text with the label people gave it: 0 negative, 1 positive."""

    text: str
    label: int


@dataclass(frozen=True)
class Example:
    """One text to train on; `positive` is the target probability of the positive label."""

    text: str
    positive: float


def read_rows(path: Path) -> list[TrainingRow]:
    """Return all rows of one file.

    Raises DataError naming the file, and the row where one is bad.
    """
    return read_columns(path, _HEADER, _row)


def _row(text: str, label: str) -> TrainingRow:
    if not text.strip():
        raise ValueError("has an empty text")
    if label not in ("0", "1"):
        raise ValueError(f"has the label {label!r}; it must be 0 or 1")
    return TrainingRow(text, int(label))


def read_train(root: Path, name: str, held_out: frozenset[str]) -> list[TrainingRow]:
    """Return the training rows of a set, without repeats and without any text in `held_out`."""
    seen: set[str] = set(held_out)
    kept: list[TrainingRow] = []
    for row in read_rows(root / name / "train.tsv.gz"):
        if (key := text_key(row.text)) not in seen:
            seen.add(key)
            kept.append(row)
    return kept


def read_held_out(root: Path) -> frozenset[str]:
    """Return the keys of every dev and test text of the sets used, so that none is trained on."""
    names = [*SENTENCE_SETS, *REVIEW_SETS]
    paths = [p for n in names for p in sorted((root / n).glob("*.tsv.gz")) if "train" not in p.name]
    return frozenset(text_key(row.text) for path in paths for row in read_rows(path))


def text_key(text: str) -> str:
    """Return letters and digits in lower case: equal for repeats with other spacing."""
    return "".join(character for character in text.lower() if character.isalnum())


def merge(first: Sequence[TrainingRow], second: Sequence[TrainingRow]) -> list[TrainingRow]:
    """All of `first`, then the rows of `second` whose text `first` does not have.

    Rotten Tomatoes and SST share sentences and disagree on some labels; the first set wins.
    """
    known = {text_key(row.text) for row in first}
    return [*first, *(row for row in second if text_key(row.text) not in known)]


def smoothed(rows: Iterable[TrainingRow], smoothing: float) -> list[Example]:
    """Rows as examples whose target keeps `smoothing` away from certainty, 0 to 0.5."""
    return [Example(row.text, abs(row.label - smoothing)) for row in rows]


def sentences(text: str, words_min: int, words_max: int) -> list[str]:
    """Return the sentences of `words_min` to `words_max` words, with markup removed."""
    plain = " ".join(_MARKUP.sub(" ", text).split())
    return [s for s in _SENTENCE_END.split(plain) if words_min <= len(s.split()) <= words_max]


def ending(row: TrainingRow, words: int) -> TrainingRow:
    """Return the last `words` words of a review, where its author usually sums up, same label."""
    plain = _MARKUP.sub(" ", row.text).split()
    return TrainingRow(" ".join(plain[-words:]) or row.text, row.label)


def treebank_style(text: str, rng: random.Random) -> str:
    """Return, half of the time, the text in lower case with `n't` parted, as SST writes it."""
    return rng.choice((_CONTRACTED_NOT.sub(" n't", text).lower(), text))
