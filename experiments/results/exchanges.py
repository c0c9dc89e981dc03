"""What becomes of the quality policy's promise when the device's model is exchanged half-way."""

from __future__ import annotations

from statistics import median
from typing import TYPE_CHECKING, Final, NamedTuple

import numpy as np

from experiments.evaluation.exchange_study import (
    BITS,
    EXCHANGES,
    TOKENS,
    Course,
    Exchange,
    exchanged_answers,
    follow,
    relation,
)
from experiments.results.text import table
from shared.cascade.policies import Quality

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from experiments.evaluation.evaluate import SetResult
    from experiments.evaluation.matrix import Matrix, TierAnswers
    from experiments.evaluation.study import Study

_TOLERANCES: Final = (0.02, 0.05, 0.1)
_ORDERS: Final = 10
_MANY: Final = 100_000
_BUNDLES: Final[dict[Exchange, str]] = {"requantised": "re-quantised", "worse": "worse"}
_CELL_HEADS: Final = [
    "set",
    "exchanged for",
    "told",
    "tolerance",
    "orders that held it",
    "worst",
    "worst half after",
    "noticed: orders, median, worst",
    "bytes after",
    "to learn anew",
]
_RELATION_HEADS: Final = [
    "set",
    "exchanged for",
    "foretold → found",
    "labels needed",
    "prompts left",
]
_PAGE: Final = (
    "### When the model is exchanged\n\n"
    "The same, with another bundle on the device from the middle of each order: *re-quantised*, "
    "its weights rounded to {bits} bits with one scale per matrix (the head kept as it was), and "
    "*worse*, the same bundle reading only the first {tokens} tokens. Either the policy is told, "
    "as an agent tells it of an exchange of its own, or nobody tells it. The share of answers "
    "that are not the cloud's, over the whole order and over the half after the exchange; after "
    "how many prompts the device's policy noticed by itself; and the bytes of that half beside "
    "those without an exchange, and which part of that is learning anew: what goes beyond the "
    "same half of orders on which the new bundle answered from the first prompt.\n\n"
    "{cells}\n"
    "{words}\n\n"
    "What there was to notice: the share of the new bundle's answers that are not the cloud's, as "
    "its confidences foretold by what they meant before, and as it was; and about how many labels any "
    "test needs for it at this rate of false alarms. A bundle whose confidence falls as its "
    "answers get worse breaks no promise, and gives no reason for an alarm; and only what is "
    "escalated or audited gives a label.\n\n"
    "{relations}"
)


class _Cell(NamedTuple):
    """One set, exchange, tolerance, and whether the policy was told; a course for each order.

    ``without`` are the same orders without an exchange, ``throughout`` those on which the new
    bundle answers from the first prompt.
    """

    exchange: Exchange
    told: bool
    tolerance: float
    courses: Sequence[Course]
    without: Sequence[Course]
    throughout: Sequence[Course]

    @property
    def held(self) -> int:
        return sum(course.disagreed <= self.tolerance for course in self.courses)

    def line(self, name: str) -> list[str]:
        sent, without, throughout = (
            np.mean([course.sent_after for course in courses])
            for courses in (self.courses, self.without, self.throughout)
        )
        return [
            name,
            _BUNDLES[self.exchange],
            "yes" if self.told else "no",
            f"{self.tolerance:g}",
            f"{self.held} of {len(self.courses)}",
            f"{max(course.disagreed for course in self.courses):.4f}",
            f"{max(course.disagreed_after for course in self.courses):.4f}",
            "" if self.told else _noticed(self.courses),
            f"{(sent / without - 1) * 100:+.0f} %",
            f"{(sent - throughout) / without * 100:+.0f} %",
        ]


def exchanges(study: Study, results: Sequence[SetResult], cache: Path) -> str:
    """Return what an exchange of the device's bundle did to the promise, told and untold."""
    cells: list[_Cell] = []
    lines, relations = [], []
    for result in results:
        name, matrix = result.matrix.data.name, result.matrix
        answers = exchanged_answers(matrix.data, study.tiers[0], cache)
        relations += [_relation(matrix, exchange, answers[exchange]) for exchange in EXCHANGES]
        of_set = list(_cells(result, answers))
        lines += [cell.line(name) for cell in of_set]
        cells += of_set
    return _PAGE.format(
        bits=BITS,
        tokens=TOKENS,
        cells=table(_CELL_HEADS, lines),
        words=_words(cells),
        relations=table(_RELATION_HEADS, relations),
    )


def _relation(matrix: Matrix, exchange: Exchange, after: TierAnswers) -> list[str]:
    meant = relation(matrix, after)
    return [
        matrix.data.name,
        _BUNDLES[exchange],
        f"{meant.foretold:.3f} → {meant.found:.3f}",
        f"{meant.labels_needed:,.0f}" if meant.labels_needed < _MANY else "many",
        f"{len(matrix.data) // 2:,}",
    ]


def _cells(result: SetResult, answers: dict[Exchange, TierAnswers]) -> Iterator[_Cell]:
    matrix, orders = result.matrix, range(_ORDERS)
    for tolerance in _TOLERANCES:
        without = [follow(matrix, None, tolerance, seed) for seed in orders]
        for exchange in EXCHANGES:
            after = answers[exchange]
            throughout = [follow(matrix, after, tolerance, s, throughout=True) for s in orders]
            for told in (True, False):
                courses = [follow(matrix, after, tolerance, s, told=told) for s in orders]
                yield _Cell(exchange, told, tolerance, courses, without, throughout)


def _noticed(courses: Sequence[Course]) -> str:
    """Say on how many orders, and after how many prompts of those: median and worst."""
    prompts = sorted(course.noticed for course in courses if course.noticed is not None)
    if not prompts:
        return "none"
    return f"{len(prompts)}, {median(prompts):,.0f}, {prompts[-1]:,}"


def _words(cells: Sequence[_Cell]) -> str:
    broken = [cell for cell in cells if cell.held < len(cell.courses)]
    held = "in every cell" if not broken else f"in {len(cells) - len(broken)} of {len(cells)} cells"
    quiet = {id(cell.without): cell.without for cell in cells}.values()
    alarms = sum(course.alarms for courses in quiet for course in courses)
    labels = sum(course.labels for courses in quiet for course in courses)
    return (
        f"The tolerance was held on all {_ORDERS} orders {held}. Without an exchange device and edge "
        f"raised {alarms} alarms in {labels:,} labels; promised is at most one in "
        f"{Quality().window_prompts:,} on average."
    )
