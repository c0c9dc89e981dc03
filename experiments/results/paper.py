"""What the paper does, repeated: models, comparison, claims, windows, another cloud model."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from experiments.evaluation.comparisons import gain_over
from experiments.evaluation.evaluate import cards, measure
from experiments.results.text import all_of, mean_of, rows_of, table, verdict

if TYPE_CHECKING:
    from collections.abc import Sequence

    from experiments.evaluation.comparisons import Gain
    from experiments.evaluation.evaluate import SetResult
    from experiments.results.text import Rows, Runs

_BETAS: Final = (0.1, 0.3, 0.5)
_BLIND: Final = ("CasServe", "ColServe")


def models(results: Sequence[SetResult], pictures: str) -> str:
    """Return the report of every model by itself."""
    lines = [
        [
            row["set"],
            row["tier"],
            f"{row['prompts']:,}",
            f"{row['accuracy']:.3f} [{row['accuracy_low']:.3f}, {row['accuracy_high']:.3f}]",
            f"{row['macro_f1']:.3f}",
            f"{row['auroc']:.3f}",
            f"{row['calibration_error']:.3f}",
        ]
        for result in results
        for row in cards(result)
    ]
    heads = ["set", "tier", "prompts", "accuracy", "macro-F1", "AUROC", "calibration error"]
    return (
        "## The models alone\n\n"
        "AUROC is the chance that a right answer is surer than a wrong one: what a threshold on the "
        "confidence has to work with.\n\n"
        f"{table(heads, lines)}\n"
        f"{_quantised(results)}"
        f"![Report card of each tier on SST-2]({pictures}/sst2-report-card.svg)\n"
    )


def _quantised(results: Sequence[SetResult]) -> str:
    """Return what quantising did to the confidences, on the sets where that was measured."""
    lines = [
        [
            row["set"],
            row["tier"],
            f"{row['accuracy_before']:.3f} → {row['accuracy']:.3f}",
            f"{row['auroc_before']:.3f} → {row['auroc']:.3f}",
            f"{row['calibration_error_before']:.3f} → {row['calibration_error']:.3f}",
        ]
        for result in results
        if result.before is not None
        for row in cards(result)
    ]
    if not lines:
        return ""
    heads = ["set", "tier", "accuracy", "AUROC", "calibration error"]
    return (
        "What quantising did, from the trained 32-bit weights (run by PyTorch) to the int8 bundles "
        "(run by ONNX Runtime):\n\n"
        f"{table(heads, lines)}\n"
    )


def main(results: Sequence[SetResult], rows: Rows, pictures: str) -> str:
    """Return RecServe beside the policies that ask one tier only."""
    lines = []
    for result in results:
        name = result.matrix.data.name
        whole = mean_of(rows_of(rows, name, "CloudServe"), "sent_bytes")
        shown = {
            "EndServe": rows_of(rows, name, "EndServe"),
            "EdgeServe": rows_of(rows, name, "EdgeServe"),
            **{f"RecServe β={b}": rows_of(rows, name, "RecServe", beta=b) for b in _BETAS},
            "CloudServe": rows_of(rows, name, "CloudServe"),
        }
        lines += [[name, policy, *_figures(found, whole)] for policy, found in shown.items()]
    heads = ["set", "policy", "accuracy", "agrees with cloud", "hops", "bytes", "compute ms"]
    images = "\n".join(
        f"![{r.matrix.data.name}]({pictures}/{r.matrix.data.name}-accuracy-burden.svg)"
        for r in results
    )
    return (
        "## The main comparison\n\n"
        "*hops* is how often a prompt is sent, the paper's unit of burden; *bytes* what really goes "
        "over the links, results included and each link counted, beside CloudServe's.\n\n"
        f"{table(heads, lines)}\n{images}\n"
    )


def claims(results: Sequence[SetResult], rows: Rows) -> str:
    """Hold the paper's three claims against the runs, set by set."""
    gains = [
        (result.matrix.data.name, other, beta, gain_over(result, other, "RecServe", beta))
        for result in results
        for other in _BLIND
        for beta in _BETAS
    ]
    lines = [
        [name, other, f"{beta}", f"{gain.burden:.3f}", _difference(gain), verdict(gain.interval)]
        for name, other, beta, gain in gains
    ]
    return (
        "## What the paper claims, and what held here\n\n"
        f"{_halves(results, rows)}\n\n"
        "**RecServe is more accurate than CasServe (a constant threshold) and ColServe (chance) at "
        f"the same burden.** {_count(gains, 'CasServe')} {_count(gains, 'ColServe')} Accuracy of "
        "RecServe less that of the other at the same hops:\n\n"
        f"{table(['set', 'against', 'β', 'hops', 'difference', ''], lines)}\n"
        "A constant threshold is read off its own curve here, as if somebody had tuned it to the "
        "same burden for each set beforehand; what the quantile adds is that nobody has to.\n\n"
        "**A prompt is sent β + β² times.** The law holds to the chance of the windows:\n\n"
        f"{_law(results, rows)}"
    )


def _figures(found: Rows, whole: float) -> list[str]:
    low, high = mean_of(found, "accuracy_low"), mean_of(found, "accuracy_high")
    return [
        f"{mean_of(found, 'accuracy'):.3f} [{low:.3f}, {high:.3f}]",
        f"{mean_of(found, 'agreement'):.3f}",
        f"{mean_of(found, 'hops'):.3f}",
        f"{mean_of(found, 'sent_bytes') / whole:.2f}",
        f"{mean_of(found, 'compute_ms'):.2f}",
    ]


def _halves(results: Sequence[SetResult], rows: Rows) -> str:
    """Say by how much the burden is cut at β = 0.3, in hops and in real bytes."""
    found = []
    for result in results:
        name = result.matrix.data.name
        mine, whole = rows_of(rows, name, "RecServe", beta=0.3), rows_of(rows, name, "CloudServe")
        sent = mean_of(mine, "sent_bytes") / mean_of(whole, "sent_bytes")
        found.append((name, 1 - mean_of(mine, "hops"), 1 - sent))
    held = all_of(cut >= 0.5 for _, cut, _ in found)  # noqa: PLR2004 - "by half"
    cuts = ", ".join(f"{name} {cut:.0%} of hops, {size:.0%} of bytes" for name, cut, size in found)
    return f"**The burden is cut by half or more against CloudServe at β = 0.3** ({held}): {cuts}."


def _law(results: Sequence[SetResult], rows: Rows) -> str:
    lines = []
    for result in results:
        name = result.matrix.data.name
        for beta in _BETAS:
            measured = mean_of(rows_of(rows, name, "RecServe", beta=beta), "hops")
            lines.append([name, f"{beta}", f"{beta + beta * beta:.3f}", f"{measured:.3f}"])
    return table(["set", "β", "β + β²", "measured"], lines)


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
