"""What policies cost and buy where the answers are texts: captions through three translators."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import msgspec
import numpy as np

from experiments.evaluation.comparisons import hops, saved_by
from experiments.evaluation.study_tables import text_cells
from experiments.evaluation.text_study import measure_texts, run_text_study, text_cards
from experiments.plots.texts import draw_texts
from experiments.results.text import mean_of, percents, table

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from experiments.evaluation.study import Study
    from experiments.evaluation.text_study import TextResult

_BETAS: Final = (0.1, 0.3, 0.5)
_OURS: Final = ("budget", "quality", "skip")


def generation(study: Study, cache: Path, pictures: Path) -> str:
    """Return the page's section on generation, and draw its picture."""
    (result,) = run_text_study(study, cache)
    rows = measure_texts(result, study.weights)
    (picture, *_) = draw_texts([result], rows, pictures)
    data = result.matrix.data
    return (
        "## Texts\n\n"
        f"{len(data):,} English captions of {data.name} (Multi30k's test of 2016) through three "
        "translators into German, trained here on the training rows alone. The confidence is "
        "the geometric mean p of the tokens' probabilities; RecServe's for generation, 1 / (1 + PPL), is "
        "p / (1 + p), orders texts alike, and so leads to the same decisions of any rule on quantiles. "
        "*agree* counts answers that say what the cloud would (chrF of at least 0.5). Intervals are bootstraps over captions.\n\n"
        f"{_models(result)}\n"
        f"![what chrF costs]({pictures.name}/{picture.stem}.png)\n\n"
        f"{_policies(rows)}\n{_savings(result)}\n\n"
        f"{_confidences(study, result, cache)}\n"
    )


def _models(result: TextResult) -> str:
    lines = [
        [
            card["tier"],
            f"{card['bleu']:.1f} [{card['bleu_low']:.1f}, {card['bleu_high']:.1f}]",
            f"{card['chrf']:.1f} [{card['chrf_low']:.1f}, {card['chrf_high']:.1f}]",
            f"{card['tokens']:.1f}",
            f"{card['tokens_s']:,.0f}",
        ]
        for card in text_cards(result)
    ]
    return table(["model", "BLEU", "chrF", "tokens", "tokens/s"], lines)


def _policies(rows: Sequence[dict[str, Any]]) -> str:
    """Return a line for each policy at each point of its grid, averaged over the orders."""
    groups: dict[tuple[str, str], list[dict[str, Any]]] = {}
    for row in rows:
        keys = list(row)
        parameters = keys[keys.index("policy") + 1 : keys.index("seed")]
        setting = ", ".join(f"{key} {row[key]:g}" for key in parameters)
        groups.setdefault((row["policy"], setting), []).append(row)
    lines = [
        [
            policy,
            setting or "–",
            _bleu(same),
            *text_cells(same),
        ]
        for (policy, setting), same in groups.items()
    ]
    heads = [
        "policy",
        "setting",
        "BLEU",
        "chrF",
        "agree",
        "% by tier",
        "hops",
        "prompt bytes",
        "answer bytes",
        "bytes sent",
    ]
    return table(heads, lines)


def _bleu(rows: list[dict[str, Any]]) -> str:
    value, low, high = (mean_of(rows, key) for key in ("bleu", "bleu_low", "bleu_high"))
    return f"{value:.1f} [{low:.1f}, {high:.1f}]"


def _savings(result: TextResult) -> str:
    """Say what our policies save at the chrF that RecServe has."""
    lines = [
        [
            f"{beta}",
            policy,
            percents(saved_by(result, policy, "RecServe", beta, hops)),
        ]
        for beta in _BETAS
        for policy in _OURS
    ]
    return "Hops saved at the mean chrF of RecServe:\n\n" + table(
        ["RecServe's β", "policy", "saved"], lines
    )


def _confidences(study: Study, result: TextResult, cache: Path) -> str:
    """Set the definitions of confidence beside each other, and show which prefers short texts."""
    least = _with_certainty(study, "least")
    (other,) = run_text_study(least, cache)
    lines = [
        [
            name,
            card["tier"],
            f"{card['rank_correlation']:+.2f}",
            f"{card['length_correlation']:+.2f}",
            f"{_bleu_at(run, 0.3):.1f}",
        ]
        for name, run in (("1 / (1 + PPL), or the mean", result), ("the least", other))
        for card in text_cards(run)
    ]
    heads = ["confidence", "tier", "~ chrF", "~ tokens written", "BLEU of RecServe at β 0.3"]
    return (
        "Definitions of confidence, by Spearman's rank correlation with chrF (the higher the better) and "
        "with the number of tokens written (the further below zero, the more a confidence sends long "
        "texts up because they are long).\n\n"
        f"{table(heads, lines)}"
    )


def _with_certainty(study: Study, certainty: str) -> Study:
    tiers = tuple(
        msgspec.structs.replace(
            tier, model=msgspec.structs.replace(tier.model, certainty=certainty)
        )
        for tier in study.tiers
    )
    return msgspec.structs.replace(study, tiers=tiers)


def _bleu_at(result: TextResult, beta: float) -> float:
    rows = measure_texts(result, (1.0, 1.0))
    return float(
        np.mean(
            [row["bleu"] for row in rows if row["policy"] == "RecServe" and row["beta"] == beta]
        )
    )
