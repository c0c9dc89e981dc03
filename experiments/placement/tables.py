"""What the study found, as tables and sentences for a terminal."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from experiments.grid import Grid
from experiments.placement.study import OURS

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

HEADS = (
    "policy",
    "worth",
    "ours ahead by",
    "95 % interval",
    "wins",
    "late",
    "right",
    "latency s",
    "GiB moved",
)


def grids(report: Mapping[str, Any]) -> Iterator[Grid]:
    """Yield a table for every preference and arrival rate."""
    for part, preference in (("rates", "weighted"), ("paper_utility", "inverse")):
        for rate, found in report[part].items():
            title = f"{rate} jobs a round, {preference} preference"
            rows = lines(found, len(report["seeds"]))
            noticed = frozenset(i for i, row in enumerate(rows) if row[0] == OURS)
            yield Grid(title, HEADS, rows, noticed)


def lines(found: Mapping[str, Any], seeds: int) -> list[list[str]]:
    """Return a row for every policy."""
    rows = []
    for policy, figures in found["policies"].items():
        low, high = figures["interval"]
        same = policy == OURS
        rows.append(
            [
                policy,
                f"{figures['utility']:.3f}",
                "–" if same else f"{figures['difference']:+.3f}",
                "–" if same else f"{low:+.3f} … {high:+.3f}",
                "–" if same else f"{figures['wins_of_active_inference']}/{seeds}",
                f"{figures['misses']:.2%}",
                f"{figures['accuracy']:.1%}",
                f"{figures['latency_s']:.1f}",
                f"{figures['gib_moved']:.0f}",
            ]
        )
    return rows


def verdicts(report: Mapping[str, Any]) -> Iterator[str]:
    """Yield what the tables leave out, a sentence each."""
    for rate, found in report["rates"].items():
        yield (
            f"At {rate} jobs a round active inference closes {found['gap_closed']:.0%} of the gap "
            f"between greedy and the oracle; {found['misses']:.2%} of its answers are late."
        )
    drift = report["drift"]
    ours, after = drift["policies"][OURS], drift["ahead_of_dqn_after"]
    yield (
        f"After the change it keeps {ours['kept']:.1%} of what a job was worth, and is "
        f"{after['mean']:+.3f} ahead of the Q-network; what it believes of a slowed node is off by "
        f"{drift['off_after_25_jobs']['mean']:.3f} on average after 25 of its jobs."
    )
    placement = report["placement"]["difference"]
    low, high = placement["interval"]
    yield (
        f"Placing models is worth {placement['mean']:+.3f} [{low:+.3f}, {high:+.3f}] a job over "
        f"models that stay; it moves {report['bytes_moved_of_oracle']:.1f} × the oracle's bytes."
    )
    yield from _featured(report["features"])
    still = report["stationary"][OURS]
    yield (
        f"Where nothing changes it went back to a model within four placements "
        f"{still['oscillations']} times, in {still['changes']} changes."
    )
    trap = report["trap"]
    yield (
        f"In the trap it finds the better choice in {trap['0']['of_many_seeds']:.0%} of "
        f"{trap['many_seeds']} seeds with β = 0, in {trap['1']['of_many_seeds']:.0%} with β = 1."
    )
    ties = [one["ties_after"] for one in report["pretraining"]]
    episodes = len(report["pretraining"][0]["dqn"]) if ties else 0
    said = ", ".join("never" if tie is None else str(tie) for tie in ties)
    yield (
        f"Episodes that the Q-network needs on one fleet to be as good ({episodes} were played): "
        f"{said}."
    )


def _featured(features: Mapping[str, Any]) -> Iterator[str]:
    """Yield what the features of texts were worth, where texts tell nothing and where they do."""
    for telling, found in features.items():
        where = "tells how hard a job is" if float(telling) else "tells nothing"
        for learner in (name for name in found if name != OURS):
            gained, ours = found[learner]["difference"], found[learner]["ours_ahead"]
            low, high = gained["interval"]
            verdict = "" if low > 0 or high < 0 else ", no difference that so few worlds can tell"
            yield (
                f"Where the text {where}, looking at it is worth {gained['mean']:+.3f} "
                f"[{low:+.3f}, {high:+.3f}] a job to {learner}{verdict}; active inference, which "
                f"does not look, is {ours['mean']:+.3f} "
                f"[{ours['interval'][0]:+.3f}, {ours['interval'][1]:+.3f}] ahead of it."
            )
