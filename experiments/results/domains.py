"""What a head is worth on a domain that it never saw, and what learning on the way changes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from experiments.evaluation.comparisons import hops, saved_by
from experiments.evaluation.left_out import (
    ADAPTING,
    DOMAINS,
    LEFT_OUT,
    LEFT_OUT_ADAPTING,
    head_without,
    run_with,
)
from experiments.results.text import percents, table

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from experiments.evaluation.equal_accuracy import Saving
    from experiments.evaluation.evaluate import SetResult
    from experiments.evaluation.study import Study

    _Row = dict[str, Saving]

_POLICY: Final = "agreement"
_WAYS: Final = (_POLICY, ADAPTING, LEFT_OUT, LEFT_OUT_ADAPTING)
_BETAS: Final = (0.3, 0.5)
_GOAL: Final = 0.3


def domains(study: Study, results: Sequence[SetResult], data: Path, cache: Path) -> str:
    """Return what heads save that were fitted without the domain of the set that they serve."""
    device, *_, cloud = study.tiers
    heads = {
        domain: head_without(domain, data, device, cloud, cache)
        for domain in dict.fromkeys(DOMAINS.values())
    }
    rows: dict[tuple[str, float], _Row] = {}
    for result in results:
        name = result.matrix.data.name
        measured = run_with(heads[DOMAINS[name]].head, result, _POLICY)
        for beta in _BETAS:
            rows[name, beta] = {
                way: saved_by(measured, way, "RecServe", beta, hops) for way in _WAYS
            }
    lines = [
        [f"{beta}", name, *(percents(rows[name, beta][way]) for way in _WAYS)]
        for beta in _BETAS
        for name in (result.matrix.data.name for result in results)
    ]
    fitted = ", ".join(
        f"{head.texts:,} without {' and '.join(domain)}" for domain, head in heads.items()
    )
    heads_of_table = ["RecServe's β", "set", "head", "head, learning", "left out", "and learning"]
    return (
        "### A domain that the head never saw\n\n"
        "For each set another head was fitted without any text or label of the set's domain. Films are "
        "one domain: for SST-2, Rotten Tomatoes and IMDB all three are left out. Texts that are left: "
        f"{fitted}. Models and answers are the same, and did see training rows of all "
        "five. With `learn: true` the device adapts what the head says to the texts that it serves, "
        "from what comes back. Hops saved at the accuracy of RecServe as published:\n\n"
        f"{table(heads_of_table, lines)}\n{_reached(rows)} {_learned(rows)}\n"
    )


def _reached(rows: dict[tuple[str, float], _Row]) -> str:
    words = []
    for beta in _BETAS:
        shares = {name: row[LEFT_OUT].share for (name, b), row in rows.items() if b == beta}
        below = [name for name, share in shares.items() if share < _GOAL]
        words.append(
            f"At β = {beta} a head of other domains saves at least 30 % on "
            f"{len(shares) - len(below)} of {len(shares)} sets"
            + (f", less on {', '.join(below)}." if below else ".")
        )
    return " ".join(words)


def _learned(rows: dict[tuple[str, float], _Row]) -> str:
    """Say what learning changed, in points of hops saved."""
    words = []
    for whose, static, adapting in (
        ("its own domains", _POLICY, ADAPTING),
        ("other domains", LEFT_OUT, LEFT_OUT_ADAPTING),
    ):
        points = {
            f"{name} at {beta}": (row[adapting].share - row[static].share) * 100
            for (name, beta), row in rows.items()
        }
        worst, best = min(points, key=points.__getitem__), max(points, key=points.__getitem__)
        words.append(
            f"With a head of {whose} learning changes the share by {points[worst]:+.1f} points "
            f"({worst}) to {points[best]:+.1f} ({best})"
        )
    return f"{words[0]}; {words[1][0].lower()}{words[1][1:]}."
