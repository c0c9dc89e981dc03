"""The six steps: draft, pool, broad, cloud, edge, device. Every number that they need is here.

draft   the base, fitted to review endings and then to labelled sentences
pool    sentences out of reviews, with the draft's opinion of each
broad   the draft, fitted on to the pool mixed with labelled sentences
cloud   the broad model, fitted on to labelled sentences with a little of the pool
edge    some of the broad model's layers, distilled on the same mixture
device  a small new net, fitted to review endings and then distilled on the same mixture

Leaves out reading and writing files.
"""

from __future__ import annotations

import random
from dataclasses import dataclass
from typing import TYPE_CHECKING

from models.train.batches import encode
from models.train.data import Example, ending, smoothed
from models.train.distil import PoolShape, draw_pool, label_pool
from models.train.fit import Schedule, fit
from models.train.student import Narrow, Student, cut, narrow
from models.train.vocabulary import Pruned, count_tokens, prune

if TYPE_CHECKING:
    from collections.abc import Sequence

    from models.train.corpus import Corpus

POSITIONS = 256
EVERY_CHARACTER = 0x110000
LATIN_CHARACTERS = 0x250


@dataclass(frozen=True)
class Vocabulary:
    """Tokens to keep, and the code point below which every character is kept as well."""

    tokens: int
    characters_below: int


@dataclass(frozen=True)
class Endings:
    """How many review endings of how many words to train on, and how."""

    reviews: int
    words: int
    smoothing: float
    schedule: Schedule


@dataclass(frozen=True)
class Mixture:
    """Pool sentences to use, and how often each labelled sentence occurs among them."""

    pool_sentences: int
    gold_repeats: int
    smoothing: float


@dataclass(frozen=True)
class Draft:
    """Numbers of the draft; `smoothing` is that of the labelled sentences."""

    vocabulary: Vocabulary
    endings: Endings
    smoothing: float
    schedule: Schedule


@dataclass(frozen=True)
class FurtherFit:
    """Numbers of a step that fits a model on to a mixture."""

    mixture: Mixture
    schedule: Schedule


@dataclass(frozen=True)
class Edge:
    """Numbers of the edge model; `layers` are those taken from the broad model, from 0."""

    vocabulary: Vocabulary
    layers: tuple[int, ...]
    mixture: Mixture
    schedule: Schedule


@dataclass(frozen=True)
class DeviceRecipe:
    """Numbers of the device model."""

    vocabulary: Vocabulary
    shape: Narrow
    endings: Endings
    mixture: Mixture
    schedule: Schedule


DRAFT = Draft(
    vocabulary=Vocabulary(16_000, EVERY_CHARACTER),
    endings=Endings(22_000, 28, 0.1, Schedule(1, 32, 8e-5)),
    smoothing=0.05,
    schedule=Schedule(3, 32, 4e-5),
)
POOL = PoolShape(sentences=45_000, words_min=5, words_max=32, log_odds_step=1.0)
BROAD = FurtherFit(mixture=Mixture(30_000, 1, 0.05), schedule=Schedule(1, 32, 5e-5))
CLOUD = FurtherFit(mixture=Mixture(6_000, 2, 0.1), schedule=Schedule(1, 32, 5e-5))
EDGE = Edge(
    vocabulary=Vocabulary(7_800, LATIN_CHARACTERS),
    layers=(0, 2, 5),
    mixture=Mixture(45_000, 3, 0.05),
    schedule=Schedule(1, 32, 1e-4),
)
DEVICE = DeviceRecipe(
    vocabulary=Vocabulary(8_000, LATIN_CHARACTERS),
    shape=Narrow(hidden=128, heads=2, feed_forward=512, layers=2),
    endings=Endings(34_000, 40, 0.1, Schedule(2, 64, 1e-3)),
    mixture=Mixture(45_000, 2, 0.05),
    schedule=Schedule(6, 64, 6e-4),
)


def train_draft(base: Student, corpus: Corpus, numbers: Draft, seed: int) -> Student:
    """Fit the base, with its vocabulary pruned, to review endings and then to sentences."""
    pruned = _prune(base, corpus, numbers.vocabulary)
    layers = range(base.model.config.num_hidden_layers)
    student = cut(base, pruned, layers, POSITIONS, seed)
    _fit_endings(student, corpus, numbers.endings, seed, "draft, endings")
    gold = smoothed(corpus.gold, numbers.smoothing)
    _fit(student, gold, numbers.schedule, seed, "draft, gold")
    return student


def make_pool(draft: Student, corpus: Corpus, shape: PoolShape, seed: int) -> list[Example]:
    """Sentences of the reviews with soft labels, in random order."""
    return label_pool(draft, draw_pool(corpus.reviews, shape, seed), shape)


def train_onward(
    start: Student, corpus: Corpus, pool: Sequence[Example], numbers: FurtherFit, seed: int
) -> Student:
    """Fit a model on to the mixture; the model itself is changed and returned."""
    _fit(start, mix(corpus, pool, numbers.mixture), numbers.schedule, seed, "onward")
    return start


def train_edge(
    broad: Student, corpus: Corpus, pool: Sequence[Example], numbers: Edge, seed: int
) -> Student:
    """Distil a model that starts as some of the broad model's layers."""
    pruned = _prune(broad, corpus, numbers.vocabulary)
    student = cut(broad, pruned, numbers.layers, POSITIONS, seed)
    _fit(student, mix(corpus, pool, numbers.mixture), numbers.schedule, seed, "edge")
    return student


def train_device(
    draft: Student, corpus: Corpus, pool: Sequence[Example], numbers: DeviceRecipe, seed: int
) -> Student:
    """Distil a small new net over the draft's embeddings, made narrower."""
    pruned = _prune(draft, corpus, numbers.vocabulary)
    student = narrow(draft, pruned, numbers.shape, POSITIONS, seed)
    _fit_endings(student, corpus, numbers.endings, seed, "device, endings")
    _fit(student, mix(corpus, pool, numbers.mixture), numbers.schedule, seed, "device")
    return student


def mix(corpus: Corpus, pool: Sequence[Example], numbers: Mixture) -> list[Example]:
    """Join the first pool sentences, and every labelled sentence some number of times."""
    gold = smoothed(corpus.gold, numbers.smoothing)
    return [*pool[: numbers.pool_sentences], *(gold * numbers.gold_repeats)]


def _fit_endings(student: Student, corpus: Corpus, numbers: Endings, seed: int, label: str) -> None:
    count = min(numbers.reviews, len(corpus.reviews))
    rng = random.Random(seed)  # noqa: S311  # order of training, no secret
    reviews = rng.sample(corpus.reviews, count)
    endings = [ending(row, numbers.words) for row in reviews]
    _fit(student, smoothed(endings, numbers.smoothing), numbers.schedule, seed, label)


def _fit(
    student: Student, examples: list[Example], schedule: Schedule, seed: int, label: str
) -> None:
    fit(student.model, encode(student.tokenizer, examples), schedule, seed, label)


def _prune(source: Student, corpus: Corpus, numbers: Vocabulary) -> Pruned:
    counts = count_tokens(source.tokenizer, corpus.weighted_texts)
    return prune(source.tokenizer, counts, numbers.tokens, numbers.characters_below)
