"""How good generated texts are: BLEU of all of them together, and chrF of each.

Both as sacrebleu computes them. BLEU is not a mean over texts: it is made of counts that are summed
over a corpus first. So the counts of every text are kept, and a corpus (or a bootstrap's resample)
is a weighted sum of them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

import numpy as np

from experiments.evaluation.statistics import interval_of, resampled
from shared.errors import RuntimeUnavailable

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from shared.telemetry.intervals import Interval

    Floats = NDArray[np.float64]
    Counts = NDArray[np.int64]

_ORDERS: Final = 4


class TextQuality(NamedTuple):
    """What the n texts of one tier are worth.

    ``chrf`` has shape (n,) and lies in [0, 1]. ``counts`` has shape (n, 10): the runs of one to
    four words that are right, those that there are, and the lengths in words of text and reference.
    """

    chrf: Floats
    counts: Counts


def judge(texts: Sequence[str], references: Sequence[str]) -> TextQuality:
    """Hold texts against their references. Raises ``RuntimeUnavailable`` without sacrebleu."""
    try:
        from sacrebleu.metrics.bleu import BLEU  # noqa: PLC0415 - optional
        from sacrebleu.metrics.chrf import CHRF  # noqa: PLC0415
    except ModuleNotFoundError as error:
        raise RuntimeUnavailable(
            f"judging generated texts needs {error.name}, which is not here; in the folder of this "
            'project: pip install -e ".[evaluate]"'
        ) from error
    bleu, chrf = BLEU(effective_order=True), CHRF()
    counts, scores = [], []
    for text, reference in zip(texts, references, strict=True):
        found = bleu.sentence_score(text, [reference])
        counts.append((*found.counts, *found.totals, found.sys_len, found.ref_len))
        scores.append(chrf.sentence_score(text, [reference]).score / 100.0)
    return TextQuality(np.array(scores), np.array(counts, np.int64))


def corpus_bleu(counts: NDArray[np.int64] | Floats) -> float:
    """Return BLEU, from 0 to 100, of summed counts; shape (10,)."""
    right, there = counts[:_ORDERS].astype(float), counts[_ORDERS : 2 * _ORDERS].astype(float)
    length, wanted = float(counts[-2]), float(counts[-1])
    if length == 0 or not there.all() or not right.all():
        return 0.0
    brevity = min(0.0, 1.0 - wanted / length)
    return float(100.0 * np.exp(np.log(right / there).mean() + brevity))


def bleu_interval(counts: Counts, *, draws: int = 1000, seed: int = 0) -> Interval:
    """Return the 95 % interval of the BLEU of n texts by resampling them; counts are (n, 10)."""
    drawn = resampled(len(counts), draws, seed) @ counts
    return interval_of(np.array([corpus_bleu(summed) for summed in drawn]))


def mean_interval(values: Floats, *, draws: int = 1000, seed: int = 0) -> Interval:
    """Return the 95 % interval of a mean by resampling; shape (n,)."""
    return interval_of(resampled(len(values), draws, seed) @ values / len(values))
