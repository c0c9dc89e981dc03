"""What every tier's language model writes to every prompt of a set; see ``SaidByTiers``.

Texts are held against references by ``experiments.evaluation.text_quality``, and against each other
by what agents take for agreement (``shared.tasks.generate``).
"""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property, partial
from typing import TYPE_CHECKING, Final
from uuid import UUID

import numpy as np
from rich.console import Console

from experiments.evaluation.answer_store import open_store, prompt_key
from experiments.evaluation.answering import answer_missing
from experiments.evaluation.matrix import answering_progress
from experiments.evaluation.text_quality import TextQuality, judge
from experiments.evaluation.tier_models import read_facts
from shared.messages import Result
from shared.tasks import Request, agrees
from shared.tasks.generate import Completion
from shared.wire.codec import encode_result

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path
    from typing import Any

    from numpy.typing import NDArray

    from experiments.datasets.pairs import PairSet
    from experiments.evaluation.tier_models import TierModel


@dataclass(frozen=True, eq=False)
class TierTexts:
    """One tier's texts for the n prompts of a set, in the set's order.

    ``routing`` is the confidence in each, and ``elapsed_us`` the time that it took; shape (n,).
    """

    tier: str
    answers: tuple[Completion, ...]
    routing: NDArray[np.float64]
    elapsed_us: NDArray[np.int64]

    @property
    def tokens(self) -> NDArray[np.int64]:
        """Tokens that were written; shape (n,)."""
        return np.array([answer.tokens_out for answer in self.answers], np.int64)

    def take(self, rows: Sequence[int]) -> TierTexts:
        """Return the texts for these prompts in this order."""
        answers = tuple(self.answers[row] for row in rows)
        return TierTexts(self.tier, answers, self.routing[rows], self.elapsed_us[rows])


@dataclass(frozen=True, eq=False)
class TextMatrix:
    """A set of prompts and every tier's texts for it, the lowest tier first.

    ``qualities`` has what each tier's texts are worth, ``same`` which texts of two tiers agree;
    both are made when they are asked for, and taken along in other orders of the same rows.
    """

    data: PairSet
    tiers: tuple[TierTexts, ...]
    options: Mapping[str, Any] = field(default_factory=dict)
    task: Final = "generate"

    @property
    def texts(self) -> tuple[str, ...]:
        """The prompts."""
        return self.data.texts

    @cached_property
    def qualities(self) -> tuple[TextQuality, ...]:
        """What each tier's texts are worth."""
        return tuple(
            judge([answer.text for answer in tier.answers], self.data.references)
            for tier in self.tiers
        )

    @cached_property
    def same(self) -> Mapping[tuple[int, int], NDArray[np.bool_]]:
        """Which texts of two tiers, the lower first, say the same; each of shape (n,)."""
        return {
            (lower, upper): np.array(
                [
                    agrees(*pair)
                    for pair in zip(
                        self.tiers[lower].answers, self.tiers[upper].answers, strict=True
                    )
                ]
            )
            for upper in range(len(self.tiers))
            for lower in range(upper)
        }

    @cached_property
    def right(self) -> NDArray[np.float64]:
        """ChrF of each tier's texts, from 0 to 1; shape (tiers, n)."""
        return np.stack([quality.chrf for quality in self.qualities])

    @cached_property
    def bleu_counts(self) -> NDArray[np.int64]:
        """What BLEU is made of, for each tier and text; shape (tiers, n, 10)."""
        return np.stack([quality.counts for quality in self.qualities])

    @cached_property
    def prompt_bytes(self) -> NDArray[np.int64]:
        """Size of each prompt with its options; shape (n,)."""
        asked = (Request("generate", text, self.options) for text in self.texts)
        return np.array([request.size_bytes for request in asked], np.int64)

    @cached_property
    def answer_bytes(self) -> NDArray[np.int64]:
        """Size of each tier's texts in UTF-8; shape (tiers, n)."""
        return np.array(
            [[len(answer.text.encode()) for answer in tier.answers] for tier in self.tiers]
        )

    @cached_property
    def result_bytes(self) -> NDArray[np.int64]:
        """Size on the wire of each tier's result without any hop; shape (tiers, n)."""
        none = UUID(int=0)
        return np.array(
            [
                [len(encode_result(Result(none, answer), known_hops=0)) for answer in tier.answers]
                for tier in self.tiers
            ]
        )

    def agreed(self, lower: int, upper: int) -> NDArray[np.bool_]:
        """Return whether two tiers' texts say the same; shape (n,)."""
        return self.same[lower, upper]

    def labels(self, tier: int) -> list[str]:
        """Return no labels: texts have none."""
        del tier
        return [""] * len(self.data)

    foretold = labels

    def headless(self) -> TextMatrix:
        """Return the same: generators have no head."""
        return self

    def take(self, rows: Sequence[int]) -> TextMatrix:
        """Return the matrix of these rows in this order; what is known of them is kept."""
        taken = TextMatrix(
            self.data.take(rows), tuple(tier.take(rows) for tier in self.tiers), self.options
        )
        qualities = tuple(TextQuality(q.chrf[rows], q.counts[rows]) for q in self.qualities)
        same = {pair: agreed[rows] for pair, agreed in self.same.items()}
        vars(taken).update(qualities=qualities, same=same)
        return taken


def fill_texts(
    data: PairSet,
    tiers: Sequence[TierModel],
    options: Mapping[str, Any],
    folder: Path,
    console: Console | None = None,
) -> TextMatrix:
    """Return the matrix of a set, running the models only on prompts they have not answered.

    Raises ``BundleError`` for a model that is not there, and ``DataError`` naming the row when one
    fails on a prompt; what was written until then is kept.
    """
    asked = [Request("generate", text, options) for text in data.texts]
    keys = [prompt_key(text, options) for text in data.texts]
    facts = [read_facts(tier.model) for tier in tiers]
    columns = []
    with answering_progress(console or Console(quiet=True)) as progress:
        for tier, known in zip(tiers, facts, strict=True):
            bar = progress.add_task(f"{data.name} · {tier.tier}", total=len(set(keys)))
            with open_store(folder, known.fingerprint, task="generate") as store:
                answer_missing(data.name, asked, known, store, partial(progress.advance, bar))
                kept = [store.answers[key] for key in keys]
            answers = tuple(each.answer for each in kept if isinstance(each.answer, Completion))
            columns.append(
                TierTexts(
                    tier.tier,
                    answers,
                    np.array([each.confidence for each in kept]),
                    np.array([each.elapsed_us for each in kept], np.int64),
                )
            )
    return TextMatrix(data, tuple(columns), options)
