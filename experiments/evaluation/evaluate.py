"""Run a study: fill the matrix of every set, replay every policy over it, and measure.

Nothing here decides anything: that is done in ``experiments.evaluation.offline``, by what the
agents run.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from rich.console import Console
from rich.progress import track

from experiments.datasets.read import read_set
from experiments.datasets.sets import concatenate, order_rows
from experiments.evaluation.arrivals import arrivals_s
from experiments.evaluation.burden import paper_bytes, paper_hops, sent_bytes
from experiments.evaluation.matrix import Matrix, fill_matrix
from experiments.evaluation.offline import Replay, replay
from experiments.evaluation.statistics import (
    agreement,
    auroc,
    bootstrap,
    macro_f1,
    reliability,
    risk_coverage,
)
from experiments.evaluation.study import Candidate, Study, candidates
from experiments.evaluation.tier_models import TierModel, answering, read_facts

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from numpy.typing import NDArray

    from experiments.evaluation.matrix import TierAnswers
    from experiments.evaluation.text_matrix import TextMatrix


class PolicyRun(NamedTuple):
    """One policy at one point of its grid on one order of one set.

    ``rows`` says which row of the set came at each place of the order.
    """

    candidate: Candidate
    seed: int
    rows: list[int]
    replay: Replay[Any]


class SetResult(NamedTuple):
    """All runs on one set.

    ``matrix`` is in the set's given order, as the tiers are served; so is ``before``, with the
    answers of the tiers' models before they were quantised, where the study names those.
    """

    matrix: Matrix
    runs: tuple[PolicyRun, ...]
    before: Matrix | None = None


def run_study(study: Study, cache: Path, console: Console | None = None) -> list[SetResult]:
    """Return every run of the study, set by set.

    Bad sets, labels and policies raise ``DataError``, ``BundleError`` or ``SettingsError`` before
    any model runs.
    """
    console = console or Console(quiet=True)
    tried = candidates(study)
    ways = {
        candidate.answers: answering(study.tiers, dict(candidate.answers)) for candidate in tried
    }
    facts = [read_facts(tier.model) for tiers in ways.values() for tier in tiers]
    labels = facts[0].labels
    sets = [read_set(source, labels) for source in study.sets]
    if study.joined:
        sets = [concatenate(sets)]
    unquantised = [
        TierModel(tier=tier.tier, model=tier.before) for tier in study.tiers if tier.before
    ]
    results = []
    for data in sets:
        matrix = fill_matrix(data, study.tiers, cache, console)
        before = fill_matrix(data, unquantised, cache, console) if unquantised else None
        asked = {way: fill_matrix(data, tiers, cache, console) for way, tiers in ways.items()}
        results.append(SetResult(matrix, tuple(play(study, tried, asked, console)), before))
    return results


def play(
    study: Study,
    tried: Sequence[Candidate],
    asked: Mapping[Any, Matrix | TextMatrix],
    console: Console,
) -> list[PolicyRun]:
    """Run every candidate on the matrix of its answers, by ``Candidate.answers``."""
    data, arrival = next(iter(asked.values())).data, study.arrival
    orders = [order_rows(data, arrival.order, seed) for seed in range(arrival.seeds)]
    ordered = {way: [matrix.take(rows) for rows in orders] for way, matrix in asked.items()}
    headless = {way: [one.headless() for one in taken] for way, taken in ordered.items()}
    times_s = [
        arrivals_s(arrival.process, len(data), arrival.rate_per_s, seed)
        for seed in range(arrival.seeds)
    ]
    runs = []
    for candidate in track(tried, f"{data.name} · policies", console=console):
        matrices = (headless if candidate.headless else ordered)[candidate.answers]
        for seed, rows in enumerate(orders):
            replayed = replay(
                matrices[seed], candidate.policies, arrivals_s=times_s[seed], seed=seed
            )
            runs.append(PolicyRun(candidate, seed, rows, replayed))
    return runs


def measure(result: SetResult, weights: tuple[float, ...]) -> list[dict[str, Any]]:
    """Return one flat row of figures per run, in the order of the runs.

    Burdens are means per prompt: ``hops`` counts one unit for each time a prompt is sent, whatever
    tier it goes to; ``weighted`` one unit for each link it crosses, at that link's weight;
    ``text_bytes`` and ``sent_bytes`` as ``experiments.evaluation.burden`` defines them.
    ``compute_ms`` is the mean model time per prompt.
    """
    intervals = bootstrap(np.stack([_in_given_order(run) for run in result.runs]))
    rows = []
    for number, run in enumerate(result.runs):
        low, high = intervals.accuracy(number)
        rows.append(
            {
                "set": result.matrix.data.name,
                "policy": run.candidate.name,
                **run.candidate.parameters,
                "seed": run.seed,
                "accuracy": float(run.replay.right.mean()),
                "accuracy_low": low,
                "accuracy_high": high,
                **_labels(run.replay),
                **shares(run.replay),
                **burdens(run.replay, weights),
                "compute_ms": float(run.replay.compute_us.sum(axis=0).mean() / 1000),
            }
        )
    return rows


def cards(result: SetResult) -> list[dict[str, Any]]:
    """Return the report card of every tier's model on a set."""
    matrix, rows = result.matrix, []
    unquantised = _calibration_errors(result.before) if result.before is not None else {}
    for tier, right in zip(matrix.tiers, matrix.right, strict=True):
        low, high = bootstrap(right[None, :]).accuracy(0)
        rows.append(
            {
                "set": matrix.data.name,
                "tier": tier.tier,
                "prompts": len(right),
                "accuracy": float(right.mean()),
                "accuracy_low": low,
                "accuracy_high": high,
                "macro_f1": macro_f1(tier.labels, matrix.truth),
                "auroc": auroc(tier.confidence, right),
                **_routing(tier, right, matrix.tiers[-1]),
                "aurc": risk_coverage(tier.confidence, right).area,
                "calibration_error": reliability(tier.confidence, right).error,
                **unquantised.get(tier.tier, {}),
                "compute_ms": float(tier.elapsed_us.mean() / 1000),
            }
        )
    return rows


def _routing(tier: TierAnswers, right: NDArray[np.bool_], top: TierAnswers) -> dict[str, float]:
    """Return how well what a head says tells right answers, and those that the top would give."""
    if tier.agreement is None:
        return {}
    same = tier.labels == top.labels
    return {
        "auroc_agreement": auroc(tier.agreement, right),
        "auroc_of_top": auroc(tier.confidence, same),
        "auroc_of_top_agreement": auroc(tier.agreement, same),
    }


def _calibration_errors(before: Matrix) -> dict[str, dict[str, float]]:
    return {
        tier.tier: {
            "accuracy_before": float(right.mean()),
            "auroc_before": auroc(tier.confidence, right),
            "calibration_error_before": reliability(tier.confidence, right).error,
        }
        for tier, right in zip(before.tiers, before.right, strict=True)
    }


def _in_given_order(run: PolicyRun) -> NDArray[np.bool_]:
    """Return which prompts a run had right, as the set lists them, so that runs can be paired."""
    right = np.empty_like(run.replay.right)
    right[run.rows] = run.replay.right
    return right


def _labels(replayed: Replay[Matrix]) -> dict[str, float]:
    """Return how the labels that were given stand to the true ones and to the top tier's."""
    matrix = replayed.matrix
    given = replayed.given(matrix.label_indexes)
    return {
        "macro_f1": macro_f1(given, matrix.truth),
        "agreement": agreement(given, matrix.label_indexes[-1]),
    }


def shares(replayed: Replay[Any]) -> dict[str, float]:
    """Return each tier's share of the answers, and which part of what it saw it escalated."""
    figures = {}
    for index, tier in enumerate(replayed.matrix.tiers):
        seen = replayed.seen[index]
        figures[f"share_{tier.tier}"] = float(replayed.share[index])
        escalated = (replayed.tier[seen] > index).mean() if seen.any() else float("nan")
        figures[f"escalated_{tier.tier}"] = float(escalated)
    return figures


def burdens(replayed: Replay[Any], weights: tuple[float, ...]) -> dict[str, float]:
    """Return what a run put on the links, per prompt; see ``measure``."""
    crossed, sent = paper_hops(replayed), sent_bytes(replayed)
    figures = {
        "hops": float(replayed.seen.sum(axis=0).mean() - 1.0),
        "weighted": float((np.asarray(weights)[:, None] * crossed.up).sum(axis=0).mean()),
        "text_bytes": float(paper_bytes(replayed).per_prompt.mean()),
        "sent_bytes": float(sent.per_prompt.mean()),
    }
    for link, up, down in zip(sent.links, sent.up, sent.down, strict=True):
        figures[f"sent_bytes_{link}"] = float((up + down).mean())
    return figures
