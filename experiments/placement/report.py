"""What the study found, as one JSON object: every figure that is printed or written is in it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import numpy as np

from experiments.placement.paired import compare
from experiments.placement.study import (
    BASELINES,
    DISPATCH_ONLY,
    FEATURED,
    OURS,
    POLICIES,
    TELLING,
    featured_part,
    part,
)
from experiments.placement.trap import WEIGHTS, finders, share_by_arithmetic

if TYPE_CHECKING:
    from collections.abc import Sequence

    from experiments.placement.paired import Paired
    from experiments.placement.pretraining import Pretraining
    from experiments.placement.scores import EpisodeScore
    from experiments.placement.study import PlacementStudy

FILE: Final = "report.json"
_TRAP_SEEDS: Final = 10
_TRAP_SEEDS_PER_WORLD: Final = 80


def make_report(
    study: PlacementStudy, middle: float, trained: Sequence[Pretraining]
) -> dict[str, Any]:
    """Return all that was found; ``middle`` is the arrival rate of the parts that have only one."""
    return {
        "seeds": list(study.seeds),
        "baselines": list(BASELINES),
        "rates": {f"{rate:g}": _rate(study, part("weighted", rate)) for rate in study.rates},
        "paper_utility": {f"{rate:g}": _rate(study, part("inverse", rate)) for rate in study.rates},
        "drift": _drift(study, part("weighted", middle)),
        "wrong_catalogue": _rate(study, "wrong catalogue"),
        "stationary": {
            policy: _stationary(study.scores["stationary", policy]) for policy in (OURS, "oracle")
        },
        "placement": _placement(study),
        "features": {f"{telling:g}": _featured(study, telling) for telling in TELLING},
        "bytes_moved_of_oracle": _moved(study, part("weighted", middle)),
        "trap": _trap(_TRAP_SEEDS_PER_WORLD * len(study.seeds)),
        "pretraining": [
            {"ties_after": one.ties_after, "dqn": one.network, OURS: one.ours} for one in trained
        ],
    }


def _rate(study: PlacementStudy, name: str) -> dict[str, Any]:
    """Return how every policy did in one part of the study, and how ours compares."""
    scores = {
        policy: study.scores[name, policy] for policy in POLICIES if (name, policy) in study.scores
    }
    ours = _utilities(scores[OURS])
    policies = {}
    for policy, each in scores.items():
        paired = compare(ours, _utilities(each))
        policies[policy] = {
            "utility": _mean(_utilities(each)),
            "wins_of_active_inference": paired.wins,
            "difference": paired.mean,
            "interval": list(paired.interval),
            "misses": _mean([one.misses for one in each]),
            "accuracy": _mean([one.accuracy for one in each]),
            "latency_s": _mean([one.latency_s for one in each]),
            "gib_moved": _mean([one.bytes_moved for one in each]) / (1 << 30),
        }
    greedy, oracle = (_mean(_utilities(scores[policy])) for policy in ("greedy", "oracle"))
    return {
        "policies": policies,
        "gap_closed": (_mean(ours) - greedy) / (oracle - greedy),
        "misses": _mean([one.misses for one in scores[OURS]]),
    }


def _drift(study: PlacementStudy, name: str) -> dict[str, Any]:
    """Return what the change of the world did to each policy, in the sixty rounds after it."""
    found = {}
    for policy in POLICIES:
        scores = study.scores[name, policy]
        before, after = _mean([s.before for s in scores]), _mean([s.after for s in scores])
        found[policy] = {"before": before, "after": after, "kept": after / before}
    ours = study.scores[name, OURS]
    over = compare([s.after for s in ours], [s.after for s in study.scores[name, "dqn"]])
    off = [each for s in ours for each in s.off]
    return {
        "policies": found,
        "ahead_of_dqn_after": _said(over),
        "slowed_nodes": len(off),
        "off_after_25_jobs": {"mean": _mean(off), "largest": max(off, default=float("nan"))},
    }


def _stationary(scores: Sequence[EpisodeScore]) -> dict[str, Any]:
    return {
        "changes": sum(each.changes for each in scores),
        "oscillations": sum(each.oscillations for each in scores),
    }


def _placement(study: PlacementStudy) -> dict[str, Any]:
    moved = _utilities(study.scores["placement", OURS])
    fixed = _utilities(study.scores["placement", DISPATCH_ONLY])
    return {
        "with": _mean(moved),
        "without": _mean(fixed),
        "difference": _said(compare(moved, fixed)),
    }


def _featured(study: PlacementStudy, telling: float) -> dict[str, Any]:
    """Return what the features of texts were worth to each learner that can look at them."""
    name = featured_part(telling)
    ours = _utilities(study.scores[name, OURS])
    found: dict[str, Any] = {OURS: _mean(ours)}
    for learner in FEATURED:
        seeing = _utilities(study.scores[name, f"{learner}, with features"])
        blind = _utilities(study.scores[name, f"{learner}, without"])
        found[learner] = {
            "with": _mean(seeing),
            "without": _mean(blind),
            "difference": _said(compare(seeing, blind)),
            "ours_ahead": _said(compare(ours, seeing)),
        }
    return found


def _moved(study: PlacementStudy, name: str) -> float:
    ours, oracle = (
        _mean([each.bytes_moved for each in study.scores[name, policy]])
        for policy in (OURS, "oracle")
    )
    return ours / oracle


def _trap(many: int) -> dict[str, Any]:
    found = {f"{weight:g}": finders(weight, range(many)) for weight in WEIGHTS}
    shares = {
        weight: {"finds_better": _mean(each[:_TRAP_SEEDS]), "of_many_seeds": _mean(each)}
        for weight, each in found.items()
    }
    counted = {"seeds": _TRAP_SEEDS, "many_seeds": many, "by_arithmetic": share_by_arithmetic()}
    return shares | counted


def _said(paired: Paired) -> dict[str, Any]:
    return {
        "mean": paired.mean,
        "interval": list(paired.interval),
        "wins": paired.wins,
        "worlds": paired.worlds,
    }


def _utilities(scores: Sequence[EpisodeScore]) -> list[float]:
    return [each.utility for each in scores]


def _mean(values: Sequence[float]) -> float:
    return float(np.mean(values)) if len(values) else float("nan")
