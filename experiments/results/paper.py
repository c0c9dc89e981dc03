"""What the paper does, repeated: models, comparison, claims, windows, another cloud model."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from experiments.comparisons import gain_over
from experiments.evaluate import cards, measure
from experiments.results.text import all_of, mean_of, rows_of, table, verdict

if TYPE_CHECKING:
    from collections.abc import Sequence

    from experiments.comparisons import Gain
    from experiments.evaluate import SetResult
    from experiments.results.text import Rows, Runs

_BETAS: Final = (0.1, 0.3, 0.5)
_BLIND: Final = ("CasServe", "ColServe")


def models(results: Sequence[SetResult], pictures: str) -> str:
    """Return the report of every model by itself."""
    rows = [card for result in results for card in cards(result.matrix)]
    lines = [
        [name, other, f"{beta}", f"{gain.burden:.3f}", _difference(gain), verdict(gain.interval)]
        for name, other, beta, gain in gains
    ]
    halves = ", ".join(f"{name} {share * 100:.0f} %" for name, share, _ in cut)
    return (
        "## What the paper claims, and what held here\n\n"
        f"**The burden is cut by half or more against CloudServe at β = 0.3** "
        f"({all_of(held for *_, held in cut)}): {halves}.\n\n"
        "**RecServe is more accurate than CasServe (a constant threshold) and ColServe (chance) at the "
        f"same burden.** {_count(gains, 'CasServe')} {_count(gains, 'ColServe')} Accuracy of RecServe "
        "less that of the other at the same hops:\n\n"
        f"{table(['set', 'against', 'β', 'hops', 'difference', ''], lines)}\n"
        "A constant threshold is read off its own curve here, as if somebody had tuned it to the same "
        "burden for each set beforehand; what the quantile adds is that nobody has to.\n\n"
        "**A prompt is sent β + β² times.** The law holds to the chance of the windows:\n\n"
        f"{table(['set', 'β', 'β + β²', 'measured'], law)}"
    )


def windows(runs: Runs, pictures: str) -> str:
    """Return what the length of the window does, on steady and on drifting orders."""
    lines = []
    for study, order in (
        ("window", "shuffled"),
        ("window-by-label", "sorted by label"),
        ("window-shift", "films, products, places"),
    ):
        rows = [row for result in runs[study][1] for row in measure(result, runs[study][0].weights)]
        for window in dict.fromkeys(row["window"] for row in rows):
            same = [row for row in rows if row["window"] == window]
            lines.append(
                [
                    order,
                    f"{window:,}",
                    f"{mean_of(same, 'accuracy'):.3f}",
                    f"{mean_of(same, 'escalated_device'):.3f}",
                    f"{mean_of(same, 'escalated_edge'):.3f}",
                    f"{mean_of(same, 'hops'):.3f}",
                ]
            )
    heads = ["order", "window", "accuracy", "device escalates", "edge escalates", "hops"]
    return (
        "## How long a memory\n\n"
        "RecServe at β = 0.3 with windows from 10 to 10,000 confidences, means over the sets. The rate "
        "to hold is 0.300:\n\n"
        f"{table(heads, lines)}\n![Thresholds over time]({pictures}/sst2-thresholds.svg)\n"
        f"![Who answers over time]({pictures}/sst2-shares.svg)\n"
    )


def smaller(runs: Runs) -> str:
    """Return the comparison with another cloud model."""
    study, results = runs["smaller-cloud"]
    rows = [row for result in results for row in measure(result, study.weights)]
    lines = []
    for result in results:
        name = result.matrix.data.name
        for beta in (0.1, 0.3, 0.5, 0.7):
            mine = rows_of(rows, name, "RecServe", beta=beta)
            other = rows_of(rows, name, "ColServe", share=beta)
            lines.append(
                [
                    name,
                    f"{beta}",
                    f"{mean_of(mine, 'accuracy'):.3f}",
                    f"{mean_of(other, 'accuracy'):.3f}",
                    f"{result.matrix.right[-1].mean():.3f}",
                ]
            )
    return (
        "## Another cloud model\n\n"
        "Two tiers, with the edge's model as the cloud:\n\n"
        f"{table(['set', 'β', 'RecServe', 'ColServe', 'cloud alone'], lines)}"
    )


def _count(gains: Sequence[tuple[str, str, float, Any]], other: str) -> str:
    verdicts = [verdict(gain.interval) for _, against, _, gain in gains if against == other]
    return (
        f"Against {other} it is better in {verdicts.count('better')}, worse in "
        f"{verdicts.count('worse')} and not clearly different in "
        f"{verdicts.count('no clear difference')} of {len(verdicts)} comparisons."
    )


def _difference(gain: Gain) -> str:
    low, high = gain.interval
    return f"{gain.difference:+.3f} [{low:+.3f}, {high:+.3f}]"
