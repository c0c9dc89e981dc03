"""What the head of the device's bundle brings: to its confidence, and to the policies that use it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, NamedTuple

import numpy as np

from experiments.evaluation.comparisons import hops, saved_by, weighted
from experiments.evaluation.evaluate import cards
from experiments.evaluation.statistics import accuracy, auroc, bootstrap, macro_f1, reliability
from experiments.evaluation.statistics import agreement as agrees
from experiments.evaluation.word_pairs import ask_expert
from experiments.results.text import needed, percents, table, verdict

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from experiments.evaluation.equal_accuracy import Saving
    from experiments.evaluation.evaluate import SetResult
    from experiments.evaluation.study import Study
    from shared.telemetry.intervals import Interval

    _Savings = list[tuple[str, float, Saving]]

_BETAS: Final = (0.3, 0.5)
_GOAL: Final = 0.3


def word_pairs(study: Study, results: Sequence[SetResult]) -> str:
    """Return how right hashed words and word pairs are alone, beside the tiers."""
    lines = []
    for result in results:
        data, right = result.matrix.data, result.matrix.right
        said = ask_expert(study.tiers[0].model, data)
        if said is None:
            return ""
        truth = result.matrix.truth
        hits = said.labels == truth
        low, high = bootstrap(hits[None, :]).accuracy(0)
        lines.append(
            [
                data.name,
                f"{accuracy(hits):.3f} [{low:.3f}, {high:.3f}]",
                f"{macro_f1(said.labels, truth):.3f}",
                f"{auroc(said.confidence, hits):.3f}",
                *(f"{share:.3f}" for share in right.mean(axis=1)),
            ]
        )
    tiers = [tier.tier for tier in study.tiers]
    above = [
        line[0] for line in lines if any(float(line[1].split()[0]) > float(c) for c in line[4:])
    ]
    return (
        "**Hashed word pairs alone.** The device's bundle has a head, and in it a linear expert over "
        "hashed words and word pairs (64 kB of int8). As a model of its own it is:\n\n"
        f"{table(['set', 'accuracy', 'macro-F1', 'AUROC', *tiers], lines)}\n"
        + (
            f"It is above at least one of the three models on {', '.join(above)}: where it is above "
            "the larger ones, part of what the head saves below is a weak model being exposed, not "
            "a second opinion.\n"
            if above
            else ""
        )
    )


def agreement(results: Sequence[SetResult], study: Study, wide: Sequence[SetResult]) -> str:
    """Return what going by the head does, against RecServe as published and on the same head."""
    published = _savings(results, "agreement", "RecServe", hops)
    same_head = _savings(results, "agreement", "RecServe-head", hops)
    dear = _savings(wide, "agreement", "RecServe", weighted(study.weights))
    return (
        "## A confidence that foretells the cloud\n\n"
        "The head of the device's bundle says how likely the cloud would give the device's answer; "
        "answers and their probabilities are as before. How well each confidence tells which answers "
        "are right, and which the cloud would give:\n\n"
        f"{_aurocs(results)}\n"
        "*agreement* is `skip` going by the head, over the same grid of `worth`; RecServe stays as "
        "published, on the largest probability. Hops at RecServe's accuracy "
        "(*never*: no number of them is enough):\n\n"
        f"{_table(published, 'agreement')}\n{_words(published)}\n\n"
        "The harder reference is RecServe's own rule going by the same head (`RecServe-head`): what "
        "the policy alone adds.\n\n"
        f"{_table(same_head, 'agreement')}\n{_words(same_head)}\n\n"
        "With wide-area bytes that cost ten times local ones, against RecServe as published:\n\n"
        f"{_table(dear, 'agreement')}\n{_words(dear)}\n"
    )


def fused(results: Sequence[SetResult], study: Study, wide: Sequence[SetResult]) -> str:
    """Return what fusing the device's answers with its expert's does, and whether it is worth it."""
    answers = [_fused_answers(result) for result in results]
    published = _savings(results, "fused", "RecServe", hops)
    same = _savings(results, "fused", "RecServe-fused", hops)
    head_alone = _savings(results, "agreement", "RecServe", hops)
    dear = _savings(wide, "fused", "RecServe", weighted(study.weights))
    return (
        "## Answers fused with the expert\n\n"
        "The device may also *answer* with its head's expert: the probabilities of both, multiplied "
        "at a weight that was fitted on held-out texts, with a head fitted to these answers. The "
        "device's answers, its own → fused:\n\n"
        f"{_answer_table(answers)}\n"
        "*fused* is `skip` on fused answers and their head. Hops at the accuracy of RecServe as "
        "published, on the device's own answers:\n\n"
        f"{_table(published, 'fused')}\n{_words(published)}\n\n"
        "The honest reference is RecServe's rule on the same fused answers and head "
        "(`RecServe-fused`):\n\n"
        f"{_table(same, 'fused')}\n{_words(same)}\n\n"
        "With wide-area bytes that cost ten times local ones, against RecServe as published:\n\n"
        f"{_table(dear, 'fused')}\n{_words(dear)}\n\n"
        f"{_worth(answers, published, head_alone)}\n"
    )


class _FusedAnswers(NamedTuple):
    """The device's own answers to a set, and the fused ones; ``more`` is what is gained."""

    name: str
    accuracy: tuple[float, float]
    more: Interval
    agrees: tuple[float, float]
    calibration_error: tuple[float, float]


def _fused_answers(result: SetResult) -> _FusedAnswers:
    run = next(run for run in result.runs if run.candidate.name == "fused")
    ways = result.matrix.take(run.rows), run.replay.matrix
    right = np.array([way.right[0] for way in ways])
    own, changed = (
        (
            accuracy(way.right[0]),
            agrees(way.tiers[0].labels, way.tiers[-1].labels),
            reliability(way.tiers[0].confidence, way.right[0]).error,
        )
        for way in ways
    )
    accuracies, agreements, errors = zip(own, changed, strict=True)
    more = bootstrap(right).difference(1, 0)
    return _FusedAnswers(result.matrix.data.name, accuracies, more, agreements, errors)


def _answer_table(answers: Sequence[_FusedAnswers]) -> str:
    lines = [
        [
            each.name,
            *(
                f"{own:.3f} → {changed:.3f}"
                for own, changed in (each.accuracy, each.agrees, each.calibration_error)
            ),
            f"{each.accuracy[1] - each.accuracy[0]:+.3f} [{each.more.low:+.3f}, {each.more.high:+.3f}]",
            verdict(each.more),
        ]
        for each in answers
    ]
    heads = ["set", "accuracy", "agrees with cloud", "calibration error", "more right", ""]
    return table(heads, lines)


def _worth(answers: Sequence[_FusedAnswers], fused: _Savings, head_alone: _Savings) -> str:
    """Say by the figures whether to fuse: right more often, and hops saved beyond the head's."""
    better = sum(each.more.low > 0 for each in answers)
    worse = [each.name for each in answers if each.more.high < 0]
    pairs = [(f.share, h.share) for (_, _, f), (_, _, h) in zip(fused, head_alone, strict=True)]
    more = sum(f > h for f, h in pairs)
    worth_it = better > len(answers) // 2 and not worse and more > len(pairs) // 2
    return (
        f"**{'Worth it' if worth_it else 'Not worth it'} with these bundles**: fused, the device is "
        f"right more often beyond chance on {better} of {len(answers)} sets"
        + (f" and less often on {', '.join(worse)}" if worse else "")
        + f", and saves more hops than with its own answers and head in {more} of {len(pairs)} cells. "
        "It is called worth it when that is more than half of both, and nothing is lost. A small "
        "model that is weak on the prompts it gets gains; one that is better than word pairs has "
        "little to gain, and `answer` stays `model`."
    )


def _aurocs(results: Sequence[SetResult]) -> str:
    lines = [
        [
            row["set"],
            row["tier"],
            f"{row['auroc']:.3f} → {row['auroc_agreement']:.3f}",
            f"{row['auroc_of_top']:.3f} → {row['auroc_of_top_agreement']:.3f}",
        ]
        for result in results
        for row in cards(result)
        if "auroc_agreement" in row
    ]
    return table(["set", "tier", "AUROC, right answers", "AUROC, the cloud's answers"], lines)


def _savings(
    results: Sequence[SetResult], contender: str, reference: str, cost: Callable[..., Any]
) -> _Savings:
    return [
        (result.matrix.data.name, beta, saved_by(result, contender, reference, beta, cost))
        for beta in _BETAS
        for result in results
    ]


def _table(savings: _Savings, contender: str) -> str:
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
    return table(["RecServe's β", "set", "RecServe", contender, "saved"], lines)


def _words(savings: _Savings) -> str:
    words = [
        _saves(beta, {name: saved.share for name, b, saved in savings if b == beta})
        for beta in _BETAS
    ]
    sure = sum(saved.interval.low > 0 for _, _, saved in savings)
    goal = sum(saved.interval.low >= _GOAL for _, _, saved in savings)
    lost = [f"{name} at {beta}" for name, beta, saved in savings if saved.share < 0]
    words.append(
        f"The interval lies above zero in {sure} of {len(savings)} cells, and above 30 % in {goal}."
    )
    if lost:
        words.append(f"It loses on {', '.join(lost)}.")
    return " ".join(words)


def _saves(beta: float, shares: Mapping[str, float]) -> str:
    never = [name for name, share in shares.items() if not np.isfinite(share)]
    if never:
        return f"At β = {beta} it never gets as accurate on {', '.join(never)}."
    each = list(shares.values())
    return (
        f"At β = {beta} it saves {np.mean(each) * 100:.0f} % on average, "
        f"{min(each) * 100:.0f} % at least."
    )
