"""What the demo did, as plain numbers.

Nothing here is measured: it is all in the answers, those that came over MQTT and those that each
model gave alone.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from experiments.evaluation.statistics import bootstrap
from recserve.demo.accounts import (
    account_of_stream,
    account_of_tier,
    alone_bytes,
    versions_of,
)
from shared import tasks
from shared.tasks.classify import Label
from shared.telemetry.intervals import wilson

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from experiments.datasets.bundled import LabelledPrompt
    from experiments.evaluation.matrix import Matrix
    from experiments.testbed.client import Answer
    from recserve.demo.published import AsPublished
    from recserve.demo.stream import DemoAnswers
    from shared.wire.topics import Topics

_PACKAGES = ("recserve", "onnxruntime", "paho-mqtt", "numpy", "tokenizers", "msgspec")


def build_report(
    prompts: Sequence[LabelledPrompt],
    answered: DemoAnswers,
    *,
    beta: Mapping[str, float | None],
    alone: Matrix,
    published: AsPublished | None,
    burden: Mapping[str, int],
    topics: Topics,
) -> dict[str, Any]:
    """Put the report together.

    ``beta`` is by tier, from the device up; ``alone`` has what each tier's model says to each
    prompt; ``published`` what RecServe would have done as published; ``burden`` the bytes that the
    agents counted on each link.
    """
    tiers = list(beta)
    pairs = zip(prompts, answered.answers, strict=True)
    got = [(prompt, answer) for prompt, answer in pairs if answer is not None]
    truths = [(prompt.text, Label(prompt.label)) for prompt in prompts]
    return {
        **account_of_stream(answered),
        "accuracy": _accuracy([_is_right(p, answer) for p, answer in got]),
        "accuracy_interval_95": _interval([_is_right(p, answer) for p, answer in got]),
        "beta": beta[tiers[0]],
        "tiers": {tier: _tier(tier, got, len(prompts), beta[tier]) for tier in tiers},
        "baselines": {
            tier: _baseline(right.tolist(), alone_bytes("classify", truths, tier, tiers[0], topics))
            for tier, right in zip(tiers, alone.right, strict=True)
        },
        "burden_bytes": dict(burden),
        "sent": sum(tiers.index(answer["tier"]) for _, answer in got if "tier" in answer),
        "as_published": published and _published(published, tiers, prompts, answered),
        "versions": versions_of(_PACKAGES),
    }


def _is_right(prompt: LabelledPrompt, answer: Answer) -> bool:
    if "error" in answer:
        return False
    return tasks.score(tasks.from_json("classify", answer), prompt.label) == 1.0


def _tier(
    tier: str, got: Sequence[tuple[LabelledPrompt, Answer]], prompts: int, beta: float | None
) -> dict[str, Any]:
    """Summarise what one tier saw, and what it answered."""
    right = [_is_right(prompt, answer) for prompt, answer in got if answer.get("tier") == tier]
    return {
        **account_of_tier(tier, [answer for _, answer in got], prompts, beta),
        "accuracy": _accuracy(right),
        "accuracy_interval_95": _interval(right),
    }


def _baseline(right: Sequence[bool], burden_bytes: int) -> dict[str, Any]:
    return {
        "accuracy": _accuracy(right),
        "accuracy_interval_95": _interval(right),
        "burden_bytes": burden_bytes,
    }


def _published(
    published: AsPublished,
    tiers: Sequence[str],
    prompts: Sequence[LabelledPrompt],
    answered: DemoAnswers,
) -> dict[str, Any]:
    """Summarise what RecServe would have done, and how much more was right in the demo."""
    counts = np.bincount(published.tier, minlength=len(tiers))
    ours = np.array(
        [
            answer is not None and _is_right(prompt, answer)
            for prompt, answer in zip(prompts, answered.answers, strict=True)
        ]
    )
    low, high = bootstrap(np.stack([ours, published.right])).difference(0, 1)
    return {
        "accuracy": _accuracy(published.right.tolist()),
        "accuracy_interval_95": _interval(published.right.tolist()),
        "gained": round(float(ours.mean() - published.right.mean()), 4),
        "gained_interval_95": [round(low, 4), round(high, 4)],
        "share": {
            tier: round(count / len(prompts), 4)
            for tier, count in zip(tiers, counts.tolist(), strict=True)
        },
        "sent": int(published.tier.sum()),
        "burden_bytes": published.burden_bytes,
    }


def _accuracy(right: Sequence[bool]) -> float | None:
    return round(sum(right) / len(right), 4) if right else None


def _interval(right: Sequence[bool]) -> list[float] | None:
    """Return the 95 % interval of a share of right answers."""
    return [round(end, 4) for end in wilson(sum(right), len(right))] if right else None
