"""What RecServe leaves open, tried: skip, budget, quality."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import numpy as np

from experiments.evaluation.budget_study import KINDS, SHARE, spend
from experiments.evaluation.comparisons import hops, saved_by, weighted
from experiments.evaluation.evaluate import measure
from experiments.results.text import mean_of, needed, percents, rows_of, table

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from experiments.evaluation.budget_study import Spending
    from experiments.evaluation.equal_accuracy import Saving
    from experiments.evaluation.evaluate import SetResult
    from experiments.evaluation.study import Study
    from experiments.results.text import Runs

    _Savings = list[tuple[str, float, Saving]]

_BETAS: Final = (0.3, 0.5)
_BUDGET_HEADS: Final = [
    "set",
    "arrivals",
    "spent / budget",
    "furthest off",
    "single periods",
    "dearest sliding period",
    "accuracy",
]


def skip(results: Sequence[SetResult], study: Study, wide: Sequence[SetResult]) -> str:
    """Return what skip saves at RecServe's accuracy, in both accountings."""
    by_hops = _savings(results, hops)
    by_cost = _savings(wide, weighted(study.weights))
    return (
        "## Skip: the same accuracy for less\n\n"
        "What `skip` needs to be as accurate as RecServe, read off its curve. First in the paper's "
        "accounting, one unit per hop:\n\n"
        f"{_saving_table(by_hops)}\n{_saving_words(by_hops)}\n\n"
        "With wide-area bytes that cost ten times local ones (device to edge 1, edge to cloud 10, "
        "device to cloud 11):\n\n"
        f"{_saving_table(by_cost)}\n{_saving_words(by_cost)}{_why_it_loses(by_cost)}\n"
    )


def _why_it_loses(savings: _Savings) -> str:
    """Say where the loss comes from, if there is one."""
    if all(saved.share >= 0 for _, _, saved in savings):
        return ""
    return (
        " Where it loses, the edge model is hardly better than the device's, or surer than it should "
        "be (see its accuracy and calibration above). Skip takes a disagreement of the edge as far "
        "more likely right than ours in proportion to its confidence, and so pays for answers that "
        "are no better; only labels, or many more of the top tier's answers than come back on a set "
        "of this size, could tell it otherwise. Recursion asks nothing of the edge's answer, only "
        "its doubt. Where the tiers between are weak and the wide area is dear, use `quantile`."
    )


def _savings(results: Sequence[SetResult], cost: Callable[..., Any]) -> _Savings:
    return [
        (result.matrix.data.name, beta, saved_by(result, "skip", "RecServe", beta, cost))
        for beta in _BETAS
        for result in results
    ]


def _saving_table(savings: _Savings) -> str:
    lines = [
        [
            f"{beta}",
            name,
            needed(saved.reference),
            needed(saved.contender),
            percents(saved),
        ]
        for name, beta, saved in savings
    ]
    return table(["RecServe's β", "set", "RecServe", "skip", "saved"], lines)


def _saving_words(savings: _Savings) -> str:
    words = []
    for beta in _BETAS:
        shares = [saved.share for _, b, saved in savings if b == beta]
        sure = sum(saved.interval.low > 0 for _, b, saved in savings if b == beta)
        worse = [name for name, b, saved in savings if b == beta and saved.share < 0]
        words.append(
            f"At β = {beta} it saves {np.mean(shares) * 100:.0f} % on average "
            f"({min(shares) * 100:.0f} % at least, the interval above zero on {sure} of "
            f"{len(shares)} sets)" + (f", and loses on {', '.join(worse)}" if worse else "") + "."
        )
    return " ".join(words)


def budget(results: Sequence[SetResult]) -> str:
    """Return how close the budget policy came to its budget."""
    found = [
        (result.matrix.data.name, [spend(result.matrix, kind, seed) for seed in range(3)])
        for result in results
        for kind in KINDS
    ]
    worst = max((_furthest_off(spendings) for _, spendings in found), default=0.0)
    dearest = max((_dearest(spendings) for _, spendings in found), default=0.0)
    return (
        "## Budget\n\n"
        f"A budget of {SHARE * 100:.0f} % of the bytes that arrive, four periods, three seeds. The "
        f"furthest that any run is off its budget is {worst * 100:.1f} %, and the most that any "
        f"sliding period spent, wherever it begins, {dearest * 100:.1f} % of it. Bursty arrivals come "
        "in Gamma gaps with a coefficient of variation of √10: on sst2 a single pause may last a third "
        "of a period, and a period that ends in one has had less to spend its money on.\n\n"
        f"{table(_BUDGET_HEADS, [_budget_line(name, spendings) for name, spendings in found])}"
    )


def _budget_line(name: str, spendings: Sequence[Spending]) -> list[str]:
    least, most = min(s.least for s in spendings), max(s.most for s in spendings)
    return [
        name,
        spendings[0].kind,
        f"{np.mean([s.overall for s in spendings]):.3f}",
        f"{_furthest_off(spendings) * 100:.1f} %",
        f"{least:.3f} … {most:.3f}",
        f"{_dearest(spendings):.3f}",
        f"{np.mean([s.accuracy for s in spendings]):.3f}",
    ]


def _furthest_off(spendings: Sequence[Spending]) -> float:
    return max(abs(s.overall - 1) for s in spendings)


def _dearest(spendings: Sequence[Spending]) -> float:
    return max(s.dearest for s in spendings)


def quality(runs: Runs) -> str:
    """Return on how many orders the tolerated disagreement was held."""
    study, results = runs["quality"]
    rows = [row for result in results for row in measure(result, study.weights)]
    lines = []
    for result in results:
        name = result.matrix.data.name
        for tolerance in dict.fromkeys(row["tolerance"] for row in rows):
            same = rows_of(rows, name, "quality", tolerance=tolerance)
            differs = [1 - row["agreement"] for row in same]
            held = sum(share <= tolerance for share in differs)
            lines.append(
                [
                    name,
                    f"{tolerance}",
                    f"{held} of {len(same)}",
                    f"{np.mean(differs):.4f}",
                    f"{max(differs):.4f}",
                    f"{mean_of(same, 'hops'):.3f}",
                ]
            )
    heads = ["set", "tolerance", "orders that held it", "mean", "worst", "hops"]
    return (
        "## Quality\n\n"
        "A tolerated disagreement with the cloud, half of it for the device and half for the edge, on "
        f"ten shuffled orders of each set:\n\n{table(heads, lines)}"
    )
