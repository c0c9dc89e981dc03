"""The five steps: draft, pool, cloud, edge, device. Every number that they need is here.

draft   the base, fitted to review endings and then to labelled sentences
pool    sentences out of reviews, with the draft's opinion of each
cloud   the draft, fitted on to the pool mixed with labelled sentences and whole reviews
edge    some of the cloud model's layers, fitted on to the same mixture
device  a small new net over the draft's embeddings, fitted to review endings and then to the pool
        and labelled sentences

A whole review is its last `REVIEW_TOKENS` tokens as they are served, markup and all; more of it
is read when the model serves. Leaves out reading and writing files.
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
from models.train.vocabulary import Pruned, count_tokens, prune, with_limit

if TYPE_CHECKING:
    from collections.abc import Sequence

    from models.train.corpus import Corpus

POSITIONS = 512
REVIEW_TOKENS = 192
EVERY_CHARACTER = 0x110000
LATIN_CHARACTERS = 0x250


@dataclass(frozen=True)
class Vocabulary:
    """Tokens to keep, and the code point below which every character is kept as well."""

    tokens: int
    characters_below: int


@dataclass(frozen=True)
class Mixture:
    """Pool sentences and whole reviews to use, and how often each labelled sentence occurs."""

    pool_sentences: int
    reviews: int
    gold_repeats: int
    smoothing: float


@dataclass(frozen=True)
class Fit:
    """What to fit to, and how long and fast."""

    mixture: Mixture
    schedule: Schedule


@dataclass(frozen=True)
class Endings:
    """How many review endings of how many words to train on, and how."""

    reviews: int
    words: int
    smoothing: float
    schedule: Schedule


@dataclass(frozen=True)
class Draft:
    """Numbers of the draft."""

    vocabulary: Vocabulary
    endings: Endings
    sentences: Fit


@dataclass(frozen=True)
class Edge:
    """Numbers of the edge model; `layers` are those taken from the cloud's model, from 0."""

    vocabulary: Vocabulary
    layers: tuple[int, ...]
    fit: Fit


@dataclass(frozen=True)
class DeviceRecipe:
    """Numbers of the device model."""

    vocabulary: Vocabulary
    shape: Narrow
    positions: int
    endings: Endings
    fit: Fit


DRAFT = Draft(
    vocabulary=Vocabulary(16_000, EVERY_CHARACTER),
    endings=Endings(22_000, 28, 0.1, Schedule(1, 32, 8e-5)),
    sentences=Fit(Mixture(0, 0, 1, 0.05), Schedule(3, 32, 4e-5)),
)
POOL = PoolShape(sentences=45_000, words_min=5, words_max=32, log_odds_step=1.0)
CLOUD = Fit(Mixture(20_000, 40_000, 1, 0.05), Schedule(1, 32, 5e-5))
EDGE = Edge(
    vocabulary=Vocabulary(7_800, LATIN_CHARACTERS),
    layers=(0, 2, 5),
    fit=Fit(Mixture(30_000, 40_000, 2, 0.05), Schedule(1, 32, 1e-4)),
)
DEVICE = DeviceRecipe(
    vocabulary=Vocabulary(8_000, LATIN_CHARACTERS),
    shape=Narrow(hidden=128, heads=2, feed_forward=512, layers=2),
    positions=256,
    endings=Endings(34_000, 40, 0.1, Schedule(2, 64, 1e-3)),
    fit=Fit(Mixture(45_000, 0, 2, 0.05), Schedule(6, 64, 6e-4)),
)


def train_draft(base: Student, corpus: Corpus, numbers: Draft, seed: int) -> Student:
    """Fit the base, with its vocabulary pruned, to review endings and then to sentences."""
    pruned = _prune(base, corpus, numbers.vocabulary)
    layers = range(base.model.config.num_hidden_layers)
    student = cut(base, pruned, layers, POSITIONS, seed)
    _fit_endings(student, corpus, numbers.endings, seed, "draft, endings")
    _fit(student, corpus, (), numbers.sentences, seed, "draft, sentences")
    return student


def make_pool(draft: Student, corpus: Corpus, shape: PoolShape, seed: int) -> list[Example]:
    """Sentences of the reviews with soft labels, in random order."""
    return label_pool(draft, draw_pool(corpus.reviews, shape, seed), shape)


def train_cloud(
    draft: Student, corpus: Corpus, pool: Sequence[Example], numbers: Fit, seed: int
) -> Student:
    """Fit the draft on to the mixture; the model itself is changed and returned."""
    _fit(draft, corpus, pool, numbers, seed, "cloud")
    return draft


def train_edge(
    cloud: Student, corpus: Corpus, pool: Sequence[Example], numbers: Edge, seed: int
) -> Student:
    """Fit a model that starts as some of the cloud's layers."""
    pruned = _prune(cloud, corpus, numbers.vocabulary)
    student = cut(cloud, pruned, numbers.layers, POSITIONS, seed)
    _fit(student, corpus, pool, numbers.fit, seed, "edge")
    return student


def train_device(
    draft: Student, corpus: Corpus, pool: Sequence[Example], numbers: DeviceRecipe, seed: int
) -> Student:
    """Fit a small new net over the draft's embeddings, made narrower."""
    pruned = _prune(draft, corpus, numbers.vocabulary)
    student = narrow(draft, pruned, numbers.shape, numbers.positions, seed)
    _fit_endings(student, corpus, numbers.endings, seed, "device, endings")
    _fit(student, corpus, pool, numbers.fit, seed, "device")
    return student


def mix(corpus: Corpus, pool: Sequence[Example], numbers: Mixture, seed: int) -> list[Example]:
    """Join the first pool sentences, some whole reviews, and labelled sentences so many times.

    All reviews where there are fewer than asked for.
    """
    gold = smoothed(corpus.gold, numbers.smoothing)
    rng = random.Random(seed)  # noqa: S311  # a choice of rows, no secret
    drawn = rng.sample(corpus.reviews, min(numbers.reviews, len(corpus.reviews)))
    reviews = smoothed(drawn, numbers.smoothing)
    return [*pool[: numbers.pool_sentences], *reviews, *(gold * numbers.gold_repeats)]


def _fit_endings(student: Student, corpus: Corpus, numbers: Endings, seed: int, label: str) -> None:
    rng = random.Random(seed)  # noqa: S311  # a choice of rows, no secret
    reviews = rng.sample(corpus.reviews, min(numbers.reviews, len(corpus.reviews)))
    endings = smoothed([ending(row, numbers.words) for row in reviews], numbers.smoothing)
    encoded = encode(student.tokenizer, endings)
    fit(student.model, encoded, numbers.schedule, seed, label)


def _fit(
    student: Student,
    corpus: Corpus,
    pool: Sequence[Example],
    numbers: Fit,
    seed: int,
    label: str,
) -> None:
    examples = mix(corpus, pool, numbers.mixture, seed)
    encoded = encode(with_limit(student.tokenizer, REVIEW_TOKENS), examples)
    fit(student.model, encoded, numbers.schedule, seed, label)


def _prune(source: Student, corpus: Corpus, numbers: Vocabulary) -> Pruned:
    counts = count_tokens(source.tokenizer, corpus.weighted_texts)
    return prune(source.tokenizer, counts, numbers.tokens, numbers.characters_below)
