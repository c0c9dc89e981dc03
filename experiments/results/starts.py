"""How an installation begins: the first prompts of new windows."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np

from experiments.evaluation.cold_start import BEGINNINGS, FIRST, ORDERS, Start, cold_start
from experiments.results.text import table
from shared.cascade.policies import Quantile
from shared.runtimes.bundle import Bundle

if TYPE_CHECKING:
    from collections.abc import Sequence

    from experiments.evaluation.evaluate import SetResult
    from experiments.evaluation.study import Study

_BETAS: Final = (0.3, 0.5)
_ORDERS: Final = {"shuffled": "mixed", "by_label": "one label first"}
_PRIORS: Final = (0, 10, 20, 30, 50, 100, 200)


def starts(study: Study, results: Sequence[SetResult]) -> str:
    """Return what the first prompts of new windows come to, by the way they begin."""
    expected = [
        Bundle.open(tier.model.source).expected_of(tier.model.answer)["classify"]
        for tier in study.tiers
    ]
    return (
        "## The first prompts\n\n"
        "As published a window begins empty: its first confidence is its own threshold and stays, "
        "however unsure. Ours begins with stand-ins by the quantiles in the bundle (of confidences on "
        "training texts of all five sets, without labels), each of which leaves as a prompt comes; "
        "with a state folder a restart goes on with what the window held. The share of the first "
        "prompts that the device escalates, beside β; how far a single start is from β (root mean "
        "square); and the accuracy of the final answers. Means over the five sets and 100 starts "
        f"each, all tiers begun together; the prior weighs {Quantile().prior_prompts} prompts.\n\n"
        f"{_beginnings(results, expected)}\n"
        "How much it should weigh, by how far the first prompts are from β (root mean square, "
        "mean over the sets and both β; no labels are needed for that):\n\n"
        f"{_weights(results, expected)}"
    )


def _beginnings(results: Sequence[SetResult], expected: Sequence[Sequence[float]]) -> str:
    heads = ["β", "order", "begun", *(f"first {n}: escalated, off, accuracy" for n in FIRST)]
    lines = []
    for beta in _BETAS:
        for order in ORDERS:
            for beginning in BEGINNINGS:
                runs = [
                    cold_start(result.matrix, expected, beginning, beta=beta, order=order)
                    for result in results
                ]
                cells = [_cell([run[place] for run in runs]) for place in range(len(FIRST))]
                lines.append([f"{beta:g}", _ORDERS[order], beginning, *cells])
    return table(heads, lines)


def _cell(starts_: Sequence[Start]) -> str:
    escalated = np.mean([start.escalated for start in starts_])
    off = np.mean([start.off for start in starts_])
    accuracy = np.mean([start.accuracy for start in starts_])
    error = np.sqrt(np.sum([start.error**2 for start in starts_])) / len(starts_)
    return f"{escalated:.3f}, ±{off:.3f}, {accuracy:.3f} ± {error:.3f}"


def _weights(results: Sequence[SetResult], expected: Sequence[Sequence[float]]) -> str:
    heads = ["prompts", *(f"{_ORDERS[order]}: first {n}" for order in ORDERS for n in FIRST)]
    lines = []
    for prior in _PRIORS:
        cells = []
        for order in ORDERS:
            runs = [
                cold_start(
                    result.matrix,
                    expected,
                    "expected",
                    beta=beta,
                    order=order,
                    prior_prompts=prior,
                    seeds=40,
                )
                for beta in _BETAS
                for result in results
            ]
            cells += [f"{np.mean([run[place].off for run in runs]):.3f}" for place in range(3)]
        lines.append([str(prior), *cells])
    return table(heads, lines)
