"""The two steps: edge, device. Every number that they need is here.

edge    the base with its whole vocabulary, told how each word is written, fitted to sentences
device  some of the edge model's layers with a smaller vocabulary, fitted on to the same

Leaves out reading and writing files.
"""

from __future__ import annotations

import random
from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
from torch.nn.functional import cross_entropy
from transformers import BertForTokenClassification

from models.train.fit import Schedule, train
from models.train.student import Student, cut, load_base
from models.train.tagger.examples import LABELS, NOT_ASKED, TagBatch, encode, shuffled_batches
from models.train.vocabulary import count_tokens, prune
from shared.runtimes.words import SHAPES

if TYPE_CHECKING:
    from collections.abc import Sequence

    from models.conll import Sentence

POSITIONS = 512
_SHAPE_SPREAD = 0.02


@dataclass(frozen=True)
class EdgeTagger:
    """Numbers of the edge model; `dropout` is of its hidden values."""

    schedule: Schedule
    dropout: float


@dataclass(frozen=True)
class DeviceTagger:
    """Numbers of the device model; `layers` are those taken from the edge's, from 0.

    Every character whose code point is below `characters_below` stays in the vocabulary.
    """

    schedule: Schedule
    dropout: float
    layers: tuple[int, ...]
    tokens: int
    characters_below: int


EDGE = EdgeTagger(Schedule(epochs=4, rows_per_batch=32, peak_learning_rate=2e-4), dropout=0.1)
DEVICE = DeviceTagger(
    Schedule(epochs=5, rows_per_batch=32, peak_learning_rate=3e-4),
    dropout=0.1,
    layers=(0, 2, 5),
    tokens=9_500,
    characters_below=0x250,
)


def train_edge(
    source: str, sentences: Sequence[Sentence], numbers: EdgeTagger, seed: int
) -> Student:
    """Fit the base found at `source`."""
    student = _told_of_shapes(load_base(source, BertForTokenClassification, LABELS), seed)
    _fit(student, sentences, numbers.schedule, numbers.dropout, seed, "edge")
    return student


def train_device(
    edge: Student, sentences: Sequence[Sentence], numbers: DeviceTagger, seed: int
) -> Student:
    """Fit a model that starts as some of the edge's layers."""
    weighted = [(sentence.text, 1) for sentence in sentences]
    counts = count_tokens(edge.tokenizer, weighted)
    pruned = prune(edge.tokenizer, counts, numbers.tokens, numbers.characters_below)
    student = cut(edge, pruned, numbers.layers, POSITIONS, seed, LABELS)
    _fit(student, sentences, numbers.schedule, numbers.dropout, seed, "device")
    return student


def token_loss(model: BertForTokenClassification, batch: TagBatch) -> torch.Tensor:
    """Return the mean cross-entropy of the words' labels, in float32."""
    logits = model(
        input_ids=batch.ids, attention_mask=batch.mask, token_type_ids=batch.shapes
    ).logits
    flat = logits.float().flatten(0, 1)
    return cross_entropy(flat, batch.labels.flatten(), ignore_index=NOT_ASKED)


def _told_of_shapes(student: Student, seed: int) -> Student:
    """Give the base a vector for each way of writing, near the one it has for every token."""
    torch.manual_seed(seed)
    embeddings = student.model.bert.embeddings
    known = embeddings.token_type_embeddings.weight.detach()[0]
    table = torch.nn.Embedding(SHAPES, known.shape[0])
    with torch.no_grad():
        table.weight.copy_(known + _SHAPE_SPREAD * torch.randn(SHAPES, known.shape[0]))
    embeddings.token_type_embeddings = table
    student.model.config.type_vocab_size = SHAPES
    student.model.config.word_shapes = True
    return student


def _fit(
    student: Student,
    sentences: Sequence[Sentence],
    schedule: Schedule,
    dropout: float,
    seed: int,
    label: str,
) -> None:
    rng = random.Random(seed)  # noqa: S311  # order of training, no secret
    torch.manual_seed(seed)
    for module in student.model.modules():
        if isinstance(module, torch.nn.Dropout):
            module.p = dropout
    examples = encode(student.tokenizer, sentences)
    epochs = [
        shuffled_batches(examples, schedule.rows_per_batch, rng) for _ in range(schedule.epochs)
    ]
    batches = [batch for epoch in epochs for batch in epoch]
    train(student.model, batches, token_loss, schedule, label)
