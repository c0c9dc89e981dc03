"""What a head and fused answers bring on texts they were not fitted to.

A head is held against the largest probability alone, and fused answers, with the head of theirs,
against the model's own answers with its head.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

    Floats = NDArray[np.float64]
    Bools = NDArray[np.bool_]

RATES: Final = (0.3, 0.5)
_DRAWS: Final = 500
_TAILS: Final = (0.025, 0.975)


class Figure(NamedTuple):
    """A figure with its 95 % interval."""

    value: float
    low: float
    high: float


class HeadGain(NamedTuple):
    """On ``texts`` held-out texts: how well two confidences tell where the teacher disagrees.

    ``before`` and ``after`` are AUROCs, of the largest probability and of the head; ``more`` is the
    difference. ``saved`` has for each escalated share in ``RATES`` the part of the escalations that
    are not needed to agree with the teacher as often.
    """

    texts: int
    agreed: float
    before: Figure
    after: Figure
    more: Figure
    saved: dict[float, Figure]

    @property
    def helps(self) -> bool:
        """Whether the head is better beyond chance."""
        return self.more.low > 0.0


class JudgedTexts(NamedTuple):
    """Answers to texts as routing sees them; both have shape (texts,)."""

    confidence: Floats
    agreed: Bools


class FusionGain(NamedTuple):
    """On ``texts`` held-out texts: what fused answers are beside the model's own.

    ``agreed`` is the share of the model's answers that are the teacher's, and ``more`` by how much
    it is more when fused; ``right`` and ``right_more`` are the same for right answers to the
    ``labelled`` ones among them. ``saved`` has for each escalated share in ``RATES`` the part of
    the escalations that are not needed to agree with the teacher as often as the model with its
    head does.
    """

    texts: int
    agreed: float
    more: Figure
    labelled: int
    right: float
    right_more: Figure | None
    saved: dict[float, Figure]

    @property
    def helps(self) -> bool:
        """Whether fused answers are better beyond chance: righter, or nearer to the teacher's."""
        return (self.right_more or self.more).low > 0.0


def measure_gain(head: Floats, plain: Floats, agreed: Bools, *, seed: int = 0) -> HeadGain:
    """Measure; all three have shape (texts,). Intervals are percentile bootstraps over texts."""
    texts, rows = len(agreed), _resampled(len(agreed), seed)
    drawn = np.array([_figures_of(head[row], plain[row], agreed[row]) for row in rows])
    before, after, *saved = (_figure(column) for column in drawn.T)
    return HeadGain(
        texts,
        float(agreed.mean()),
        before,
        after,
        _figure(drawn[:, 1] - drawn[:, 0]),
        dict(zip(RATES, saved, strict=True)),
    )


def measure_fusion(
    fused: JudgedTexts, own: JudgedTexts, right: tuple[Bools, Bools], *, seed: int = 0
) -> FusionGain:
    """Measure; ``right`` has fused answers and the model's own, for the labelled texts alone."""
    texts, labelled = len(own.agreed), len(right[0])
    drawn = np.array([_fusion_of(fused, own, row) for row in _resampled(texts, seed)])
    more, *saved = (_figure(column) for column in drawn.T)
    gained = right[0].astype(float) - right[1]
    hits = (
        np.array([gained[row].mean() for row in _resampled(labelled, seed)]) if labelled else None
    )
    return FusionGain(
        texts,
        float(own.agreed.mean()),
        more,
        labelled,
        float(right[1].mean()) if labelled else float("nan"),
        None if hits is None else _figure(hits),
        dict(zip(RATES, saved, strict=True)),
    )


def _resampled(count: int, seed: int) -> Iterator[NDArray[np.int64]]:
    """Yield all rows once, and then resamples of them."""
    draw = np.random.default_rng(seed)
    yield np.arange(count)
    for _ in range(_DRAWS):
        yield draw.integers(0, count, count)


def _figure(column: Floats) -> Figure:
    low, high = np.nanquantile(column[1:], _TAILS)
    return Figure(float(column[0]), float(low), float(high))


def _figures_of(head: Floats, plain: Floats, agreed: Bools) -> tuple[float, ...]:
    ways = JudgedTexts(head, agreed), JudgedTexts(plain, agreed)
    return (
        _auroc(plain, agreed),
        _auroc(head, agreed),
        *(_saved(*ways, rate) for rate in RATES),
    )


def _fusion_of(fused: JudgedTexts, own: JudgedTexts, row: NDArray[np.int64]) -> tuple[float, ...]:
    fused, own = (JudgedTexts(way.confidence[row], way.agreed[row]) for way in (fused, own))
    more = float(fused.agreed.mean() - own.agreed.mean())
    return (more, *(_saved(fused, own, rate) for rate in RATES))


def _auroc(confidence: Floats, agreed: Bools) -> float:
    """Return the chance that an agreed answer has the higher confidence; ties count half."""
    pairs = int(agreed.sum()) * int((~agreed).sum())
    if not pairs:
        return float("nan")
    _, group, size = np.unique(confidence, return_inverse=True, return_counts=True)
    ranks = (np.cumsum(size) - (size - 1) / 2)[group]
    agreeing = int(agreed.sum())
    return float((ranks[agreed].sum() - agreeing * (agreeing + 1) / 2) / pairs)


def _saved(better: JudgedTexts, plain: JudgedTexts, rate: float) -> float:
    """Return which part of a share ``rate`` of escalations the better way can spare.

    Escalated are the least confident; as many disagreements may stay as the plain way leaves.
    """
    texts = len(plain.agreed)
    sent = round(rate * texts)
    left = int((~plain.agreed[np.argsort(plain.confidence, kind="stable")[sent:]]).sum())
    order = np.argsort(better.confidence, kind="stable")
    keepable = int(np.searchsorted(np.cumsum(~better.agreed[order[::-1]]), left, side="right"))
    return 1.0 - (texts - keepable) / max(sent, 1)
