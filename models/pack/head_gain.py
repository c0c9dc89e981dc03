"""What a head brings on texts it was not fitted to, against the largest probability alone."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

import numpy as np

if TYPE_CHECKING:
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


def measure_gain(head: Floats, plain: Floats, agreed: Bools, *, seed: int = 0) -> HeadGain:
    """Measure; all three have shape (texts,). Intervals are percentile bootstraps over texts."""
    draw = np.random.default_rng(seed)
    texts = len(agreed)
    everything = np.arange(texts)
    rows = [everything, *(draw.integers(0, texts, texts) for _ in range(_DRAWS))]
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


def _figure(column: Floats) -> Figure:
    low, high = np.nanquantile(column[1:], _TAILS)
    return Figure(float(column[0]), float(low), float(high))


def _figures_of(head: Floats, plain: Floats, agreed: Bools) -> tuple[float, ...]:
    return (
        _auroc(plain, agreed),
        _auroc(head, agreed),
        *(_saved(head, plain, agreed, rate) for rate in RATES),
    )


def _auroc(confidence: Floats, agreed: Bools) -> float:
    """Return the chance that an agreed answer has the higher confidence; ties count half."""
    pairs = int(agreed.sum()) * int((~agreed).sum())
    if not pairs:
        return float("nan")
    _, group, size = np.unique(confidence, return_inverse=True, return_counts=True)
    ranks = (np.cumsum(size) - (size - 1) / 2)[group]
    agreeing = int(agreed.sum())
    return float((ranks[agreed].sum() - agreeing * (agreeing + 1) / 2) / pairs)


def _saved(head: Floats, plain: Floats, agreed: Bools, rate: float) -> float:
    """Return which part of a share ``rate`` of escalations the head can spare.

    Escalated are the least confident; as many disagreements may stay as it leaves by the plain one.
    """
    sent = round(rate * len(agreed))
    left = int((~agreed[np.argsort(plain, kind="stable")[sent:]]).sum())
    kept_by_head = np.cumsum((~agreed[np.argsort(head, kind="stable")])[::-1])
    keepable = int(np.searchsorted(kept_by_head, left, side="right"))
    return 1.0 - (len(agreed) - keepable) / max(sent, 1)
