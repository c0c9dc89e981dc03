"""What the demo did, as plain numbers.

Nothing here is measured: it is all in the answers, those that came over MQTT and those that each
model gave alone.
"""

from __future__ import annotations

import platform
from importlib.metadata import version
from typing import TYPE_CHECKING, Any
from uuid import uuid4

import numpy as np

from experiments.evaluation.statistics import bootstrap, wilson
from shared import tasks
from shared.messages import Hop, Prompt, Result
from shared.tasks.classify import Label
from shared.wire.burden import packet_bytes
from shared.wire.codec import encode_prompt, encode_result

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
    errors = sum("error" in answer for _, answer in got)
    return {
        "prompts": len(prompts),
        "results": len(got),
        "duplicates": answered.duplicates,
        "errors": errors,
        "degraded": sum("degraded" in answer for _, answer in got),
        "elapsed_s": round(answered.elapsed_s, 3),
        "accuracy": _accuracy([_is_right(p, answer) for p, answer in got]),
        "accuracy_interval_95": _interval([_is_right(p, answer) for p, answer in got]),
        "beta": beta[tiers[0]],
        "tiers": {tier: _tier(tier, got, len(prompts), beta[tier]) for tier in tiers},
        "baselines": {
            tier: _baseline(right.tolist(), _alone_bytes(prompts, tier, tiers[0], topics))
            for tier, right in zip(tiers, alone.right, strict=True)
        },
        "burden_bytes": dict(burden),
        "sent": sum(tiers.index(answer["tier"]) for _, answer in got if "tier" in answer),
        "as_published": published and _published(published, tiers, prompts, answered),
        "versions": {name: version(name) for name in _PACKAGES}
        | {"python": platform.python_version(), "machine": platform.machine()},
    }


def _is_right(prompt: LabelledPrompt, answer: Answer) -> bool:
    if "error" in answer:
        return False
    return tasks.score(tasks.from_json("classify", answer), prompt.label) == 1.0


def _tier(
    tier: str, got: Sequence[tuple[LabelledPrompt, Answer]], prompts: int, beta: float | None
) -> dict[str, Any]:
    """Summarise what one tier saw, and what it answered."""
    own = [(prompt, answer) for prompt, answer in got if answer.get("tier") == tier]
    judged = [answer for _, answer in got if any(hop["tier"] == tier for hop in answer["hops"])]
    sent_on = sum(answer["hops"][-1]["tier"] != tier or "degraded" in answer for answer in judged)
    right = [_is_right(prompt, answer) for prompt, answer in own]
    return {
        "share": round(len(own) / prompts, 4),
        "accuracy": _accuracy(right),
        "accuracy_interval_95": _interval(right),
        "judged": len(judged),
        "escalation_rate": round(sent_on / len(judged), 4) if judged else None,
        "beta": beta,
        "latency_ms": latencies_ms([answer["elapsed_ms"] for _, answer in own]),
    }


_QUANTILES = (("p50", 0.5), ("p95", 0.95), ("p99", 0.99))


def latencies_ms(times_ms: Sequence[float]) -> dict[str, float | None]:
    """Return the quantiles of times that people look at; None of no times."""
    return {name: _quantile(times_ms, q) for name, q in _QUANTILES}


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


def _alone_bytes(prompts: Sequence[LabelledPrompt], tier: str, bottom: str, topics: Topics) -> int:
    """Return the bytes of sending every prompt straight to one tier and its result back.

    One hop each way, with the topics, payloads and packet headers that the agents use.
    """
    if tier == bottom:
        return 0
    origin, agent, total = f"{bottom}-1", f"{tier}-1", 0
    for labelled in prompts:
        prompt = Prompt(uuid4(), origin, "classify", labelled.text, 30.0)
        total += packet_bytes(topics.prompt(agent, "classify", origin), encode_prompt(prompt, 0.0))
        hop = Hop(tier, agent, 0.9, 0.5, 70_000)
        result = Result(prompt.id, Label(labelled.label), (hop,))
        total += packet_bytes(topics.results(origin), encode_result(result, known_hops=0))
    return total


def _accuracy(right: Sequence[bool]) -> float | None:
    return round(sum(right) / len(right), 4) if right else None


def _interval(right: Sequence[bool]) -> list[float] | None:
    """Return the 95 % interval of a share of right answers."""
    return [round(end, 4) for end in wilson(sum(right), len(right))] if right else None


def _quantile(values: Sequence[float], q: float) -> float | None:
    return round(float(np.quantile(values, q)), 3) if values else None
