"""Run a study of generation: every policy replayed over what the tiers' models wrote."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from rich.console import Console

from experiments.datasets.pairs import read_pairs
from experiments.evaluation.burden import paper_hops
from experiments.evaluation.evaluate import PolicyRun, burdens, play, shares
from experiments.evaluation.statistics import rank_correlation
from experiments.evaluation.study import Study, candidates
from experiments.evaluation.text_matrix import TextMatrix, fill_texts
from experiments.evaluation.text_quality import bleu_interval, corpus_bleu, mean_interval
from shared.errors import SettingsError
from shared.telemetry.intervals import Interval

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

    from experiments.evaluation.offline import Replay


class TextResult(NamedTuple):
    """All runs on one set; ``matrix`` is in the set's given order."""

    matrix: TextMatrix
    runs: tuple[PolicyRun, ...]


def run_text_study(study: Study, cache: Path, console: Console | None = None) -> list[TextResult]:
    """Return every run of the study, set by set.

    Bad sets and policies raise ``DataError`` or ``SettingsError`` before any model runs.
    """
    console = console or Console(quiet=True)
    if study.joined or study.arrival.order == "by_label":
        raise SettingsError(
            f"study {study.name!r}: texts have no labels to arrive by, and their sets are not "
            "joined; leave joined out, and take the order given or shuffled"
        )
    tried = candidates(study)
    if any(candidate.answers for candidate in tried):
        raise SettingsError(f"study {study.name!r}: only the answers of classifiers can be fused")
    results = []
    for data in [read_pairs(source) for source in study.sets]:
        matrix = fill_texts(data, study.tiers, study.options, cache, console)
        results.append(TextResult(matrix, tuple(play(study, tried, {(): matrix}, console))))
    return results


def measure_texts(result: TextResult, weights: tuple[float, ...]) -> list[dict[str, Any]]:
    """Return one flat row of figures per run, in the order of the runs.

    ``bleu`` is of the texts that were given, as a corpus, and ``chrf`` their mean, both from 0 to
    100. Burdens are means per prompt as in ``experiments.evaluation.evaluate.measure``;
    ``answer_bytes`` is the text of answers on every link that they cross on their way down.
    """
    return [
        {
            "set": result.matrix.data.name,
            "policy": run.candidate.name,
            **run.candidate.parameters,
            "seed": run.seed,
            **_quality(run.replay.right, run.replay.matrix.bleu_counts, run.replay.tier),
            "agreement": _agreement(run.replay),
            **shares(run.replay),
            **burdens(run.replay, weights),
            "answer_bytes": _answer_bytes(run.replay),
            "compute_ms": float(run.replay.compute_us.sum(axis=0).mean() / 1000),
        }
        for run in result.runs
    ]


def text_cards(result: TextResult) -> list[dict[str, Any]]:
    """Return what each tier's model does alone, and what its confidence tells.

    ``rank_correlation`` is Spearman's, of confidence and chrF; ``length_correlation`` that of
    confidence and tokens written: how much a confidence prefers short texts.
    """
    matrix, cards = result.matrix, []
    for index, tier in enumerate(matrix.tiers):
        everything = np.full(len(matrix.data), index)
        tokens = tier.tokens
        cards.append(
            {
                "set": matrix.data.name,
                "tier": tier.tier,
                "prompts": len(matrix.data),
                **_quality(matrix.right[index], matrix.bleu_counts, everything),
                "rank_correlation": rank_correlation(tier.routing, matrix.right[index]),
                "length_correlation": rank_correlation(tier.routing, tokens.astype(float)),
                "tokens": float(tokens.mean()),
                "tokens_s": float(tokens.sum() / (tier.elapsed_us.sum() / 1e6)),
                "compute_ms": float(tier.elapsed_us.mean() / 1000),
            }
        )
    return cards


def _quality(
    chrf: NDArray[np.float64], counts: NDArray[np.int64], tier: NDArray[np.int64]
) -> dict[str, float]:
    given = counts[tier, np.arange(len(tier))]
    intervals = {"bleu": bleu_interval(given), "chrf": _percent(mean_interval(chrf))}
    values = {"bleu": corpus_bleu(given.sum(axis=0)), "chrf": float(chrf.mean()) * 100}
    return {
        key: figure
        for name, value in values.items()
        for key, figure in (
            (name, value),
            (f"{name}_low", intervals[name].low),
            (f"{name}_high", intervals[name].high),
        )
    }


def _percent(interval: Interval) -> Interval:
    return Interval(interval.low * 100, interval.high * 100)


def _agreement(replayed: Replay[TextMatrix]) -> float:
    """Return the share of answers that say what the top tier would say."""
    matrix = replayed.matrix
    top = len(matrix.tiers) - 1
    same = [*(matrix.agreed(lower, top) for lower in range(top)), np.ones(len(matrix.data), bool)]
    return float(replayed.given(np.stack(same)).mean())


def _answer_bytes(replayed: Replay[TextMatrix]) -> float:
    """Return the bytes of answers' texts on all links, per prompt."""
    given = replayed.given(replayed.matrix.answer_bytes)
    return float((paper_hops(replayed).up.sum(axis=0) * given).mean())
