"""The answer matrix: what every tier's model says to every prompt of a set.

Filling it is the one slow step; everything after it only reads. Answers are kept on disk by model
and prompt (``experiments.evaluation.answer_store``), so an interrupted matrix goes on where it
stopped and sets that share prompts share answers. ``elapsed_us`` is the time it took on the machine
that filled the store, one prompt after another in one process.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property, partial
from typing import TYPE_CHECKING, Final
from uuid import UUID

import numpy as np
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from experiments.evaluation.answer_store import AnswerStore, open_store, prompt_key
from experiments.evaluation.answering import answer_missing
from experiments.evaluation.tier_models import ModelFacts, TierModel, read_facts
from shared.errors import BundleError
from shared.messages import Result
from shared.tasks.classify import Label, requests
from shared.wire.codec import encode_result

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from numpy.typing import NDArray

    from experiments.datasets.sets import LabelledSet


@dataclass(frozen=True, eq=False)
class TierAnswers:
    """One tier's answers to the n prompts of a set, in the set's order.

    ``probabilities`` has shape (n, labels) in the order of the set's ``label_names``;
    ``elapsed_us`` has shape (n,), and so has ``agreement``: what routing goes by where the model
    has a head. Where answers are fused, so are the probabilities.
    """

    tier: str
    probabilities: NDArray[np.float64]
    elapsed_us: NDArray[np.int64]
    agreement: NDArray[np.float64] | None = None

    @cached_property
    def labels(self) -> NDArray[np.int64]:
        """Index of the most probable label, the first of equals; shape (n,)."""
        labels: NDArray[np.int64] = self.probabilities.argmax(axis=1)
        return labels

    @cached_property
    def confidence(self) -> NDArray[np.float64]:
        """The largest probability, as ``shared.tasks.classify`` defines it; shape (n,)."""
        confidence: NDArray[np.float64] = self.probabilities.max(axis=1)
        return confidence

    @property
    def routing(self) -> NDArray[np.float64]:
        """What routing goes by: the head's confidence, or else the largest probability."""
        return self.confidence if self.agreement is None else self.agreement

    def take(self, rows: Sequence[int]) -> TierAnswers:
        """Return the answers to these prompts in this order."""
        agreement = None if self.agreement is None else self.agreement[rows]
        return TierAnswers(self.tier, self.probabilities[rows], self.elapsed_us[rows], agreement)

    def headless(self) -> TierAnswers:
        """Return the same answers as if the model had no head."""
        return replace(self, agreement=None)


@dataclass(frozen=True, eq=False)
class Matrix:
    """A set and every tier's answers to it, the lowest tier first."""

    data: LabelledSet
    tiers: tuple[TierAnswers, ...]
    task: Final = "classify"

    @property
    def texts(self) -> tuple[str, ...]:
        """The prompts."""
        return self.data.texts

    @cached_property
    def truth(self) -> NDArray[np.int64]:
        """Index of the true label; shape (n,)."""
        return np.array(self.data.labels, np.int64)

    @cached_property
    def right(self) -> NDArray[np.bool_]:
        """Whether each tier's answer is the true one; shape (tiers, n)."""
        return np.array([tier.labels == self.truth for tier in self.tiers])

    @cached_property
    def label_indexes(self) -> NDArray[np.int64]:
        """Index of the label that each tier gave; shape (tiers, n)."""
        return np.stack([tier.labels for tier in self.tiers])

    @cached_property
    def prompt_bytes(self) -> NDArray[np.int64]:
        """Length of each text in UTF-8; shape (n,)."""
        return np.array([len(text.encode()) for text in self.data.texts], np.int64)

    @cached_property
    def result_bytes(self) -> NDArray[np.int64]:
        """Size on the wire of each tier's result without any hop; shape (tiers, n)."""
        results = (Result(UUID(int=0), Label(name)) for name in self.data.label_names)
        sizes = np.array([len(encode_result(result, known_hops=0)) for result in results])
        sizes_given: NDArray[np.int64] = sizes[self.label_indexes]
        return sizes_given

    def agreed(self, lower: int, upper: int) -> NDArray[np.bool_]:
        """Return whether two tiers gave the same label; shape (n,)."""
        same: NDArray[np.bool_] = self.tiers[lower].labels == self.tiers[upper].labels
        return same

    def labels(self, tier: int) -> list[str]:
        """Return the names of the labels that a tier gave."""
        return [self.data.label_names[label] for label in self.tiers[tier].labels.tolist()]

    def foretold(self, tier: int) -> list[str]:
        """Return the labels that a tier's head foretells; empty ones where it has no head."""
        if self.tiers[tier].agreement is None:
            return [""] * len(self.data)
        return self.labels(tier)

    def take(self, rows: Sequence[int]) -> Matrix:
        """Return the matrix of these rows in this order, such as ``order_rows`` gives."""
        return Matrix(self.data.take(rows), tuple(tier.take(rows) for tier in self.tiers))

    def headless(self) -> Matrix:
        """Return the same matrix as if no model had a head: confidences as published."""
        return Matrix(self.data, tuple(tier.headless() for tier in self.tiers))


def fill_matrix(
    data: LabelledSet,
    tiers: Sequence[TierModel],
    folder: Path,
    console: Console | None = None,
) -> Matrix:
    """Return the matrix of a set, running the models only on prompts they have not answered.

    Models are loaded one at a time, and only where an answer is missing. Raises ``BundleError``
    when a model's labels are not those of the set, before any is run, and ``DataError`` naming
    the row when a model fails on a prompt; the answers made until then are kept.
    """
    console = console or Console(quiet=True)
    facts = [_facts_for(tier, data) for tier in tiers]
    keys = [prompt_key(text) for text in data.texts]
    columns = []
    with answering_progress(console) as progress:
        for tier, known in zip(tiers, facts, strict=True):
            task = progress.add_task(f"{data.name} · {tier.tier}", total=len(set(keys)))
            with open_store(folder, known.fingerprint) as store:
                advance = partial(progress.advance, task)
                answer_missing(data.name, requests(data.texts), known, store, advance)
                columns.append(_column(tier.tier, data, keys, known, store))
    return Matrix(data, tuple(columns))


def _facts_for(tier: TierModel, data: LabelledSet) -> ModelFacts:
    facts = read_facts(tier.model)
    if sorted(facts.labels) != sorted(data.label_names):
        raise BundleError(
            f"{tier.model.source}: the model of {tier.tier} knows {', '.join(facts.labels)}, but "
            f"{data.name} was read for {', '.join(data.label_names)}; every tier needs the same"
        )
    return facts


def _column(
    tier: str,
    data: LabelledSet,
    keys: Sequence[bytes],
    facts: ModelFacts,
    store: AnswerStore,
) -> TierAnswers:
    """Lay the answers out in the set's order of rows and of labels, as the tier gives them."""
    kept = [store.answers[key] for key in keys]
    order = [facts.labels.index(name) for name in data.label_names]
    answers = zip(data.texts, kept, strict=True)
    judged = [facts.judge(text, answer.probabilities) for text, answer in answers]
    probabilities = np.array([each.probabilities for each in judged], np.float64)
    elapsed_us = np.array([answer.elapsed_us for answer in kept], np.int64)
    agreement = None
    if facts.second is not None and facts.second.head is not None:
        agreement = np.array([each.confidence for each in judged], np.float64)
    return TierAnswers(tier, probabilities[:, order], elapsed_us, agreement)


def answering_progress(console: Console) -> Progress:
    """Return bars that show how many prompts of a set a model has answered."""
    return Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeRemainingColumn(),
        console=console,
    )
