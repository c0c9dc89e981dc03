"""Sentences as token ids, ways of writing and labels, and padded batches of them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import torch

from models.train.pools import groups_of
from shared.runtimes.words import PLAIN, Word, shapes, words

if TYPE_CHECKING:
    import random
    from collections.abc import Sequence

    from tokenizers import Tokenizer

    from models.conll import Sentence

TYPES: Final = ("LOC", "MISC", "ORG", "PER")
LABELS: Final = ("O", *(f"{mark}-{kind}" for kind in TYPES for mark in ("B", "I")))
NOT_ASKED: Final = -100


@dataclass(frozen=True)
class TagExample:
    """One sentence by token; `labels` are numbers of LABELS at the first token of each word."""

    ids: tuple[int, ...]
    shapes: tuple[int, ...]
    labels: tuple[int, ...]


@dataclass(frozen=True)
class TagBatch:
    """All are int64 (rows, tokens); `labels` are NOT_ASKED where nothing is to be learnt."""

    ids: torch.Tensor
    mask: torch.Tensor
    shapes: torch.Tensor
    labels: torch.Tensor


def encode(tokenizer: Tokenizer, sentences: Sequence[Sentence]) -> list[TagExample]:
    """Return each sentence as an example; the tokenizer must not pad."""
    return [_example(tokenizer, sentence) for sentence in sentences]


def shuffled_batches(
    examples: Sequence[TagExample], rows_per_batch: int, rng: random.Random
) -> list[TagBatch]:
    """Every example once, in random order, batched with others of about its length."""
    return [collate(group) for group in groups_of(examples, rows_per_batch, rng)]


def collate(group: Sequence[TagExample]) -> TagBatch:
    """One batch, padded to its longest row."""
    size = (len(group), max(len(one.ids) for one in group))
    ids = torch.zeros(size, dtype=torch.int64)
    mask, ways = torch.zeros_like(ids), torch.full_like(ids, PLAIN)
    labels = torch.full_like(ids, NOT_ASKED)
    for row, one in enumerate(group):
        end = len(one.ids)
        ids[row, :end] = torch.tensor(one.ids)
        mask[row, :end] = 1
        ways[row, :end] = torch.tensor(one.shapes)
        labels[row, :end] = torch.tensor(one.labels)
    return TagBatch(ids, mask, ways, labels)


def _example(tokenizer: Tokenizer, sentence: Sentence) -> TagExample:
    encoding = tokenizer.encode(sentence.text)
    found = words(sentence.text, encoding.word_ids, encoding.offsets)
    labels = [NOT_ASKED] * len(encoding.ids)
    for word in found:
        labels[word.first] = LABELS.index(_label(sentence, word))
    written = shapes(sentence.text, len(labels), found)
    return TagExample(tuple(encoding.ids), tuple(written), tuple(labels))


def _label(sentence: Sentence, word: Word) -> str:
    for kind, start, end in sentence.places:
        if start <= word.start < end:
            return f"B-{kind}" if word.start == start else f"I-{kind}"
    return "O"
