"""What the demo did, as plain numbers. Nothing here is measured: it is all in the answers."""

from __future__ import annotations

import platform
from importlib.metadata import version
from typing import TYPE_CHECKING, Any
from uuid import uuid4

import numpy as np

from experiments.evaluation.statistics import wilson
from shared import tasks
from shared.messages import Hop, Prompt, Result
from shared.tasks.classify import Label
from shared.wire.burden import packet_bytes
from shared.wire.codec import encode_prompt, encode_result

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from experiments.datasets.bundled import LabelledPrompt
    from experiments.testbed.client import Answer
    from recserve.demo.stream import DemoAnswers
    from shared.wire.topics import Topics

_PACKAGES = ("recserve", "onnxruntime", "paho-mqtt", "numpy", "tokenizers", "msgspec")


def build_report(
    prompts: Sequence[LabelledPrompt],
    answered: DemoAnswers,
    *,
    tiers: Sequence[str],
    beta: Mapping[str, float | None],
    alone: Mapping[str, Sequence[str]],
    burden: Mapping[str, int],
    topics: Topics,
) -> dict[str, Any]:
    """Put the report together.

    ``tiers`` from the device up; ``alone`` has the label that each tier's model gives to each
    prompt; ``burden`` the bytes that the agents counted on each link.
    """
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
            tier: _baseline(prompts, alone[tier], _alone_bytes(prompts, tier, tiers[0], topics))
            for tier in tiers
        },
        "burden_bytes": dict(burden),
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
    times_ms = sorted(answer["elapsed_ms"] for _, answer in own)
    return {
        "share": round(len(own) / prompts, 4),
        "accuracy": _accuracy(right),
        "accuracy_interval_95": _interval(right),
        "judged": len(judged),
        "escalation_rate": round(sent_on / len(judged), 4) if judged else None,
        "beta": beta,
        "latency_ms": {name: _quantile(times_ms, q) for name, q in _QUANTILES},
    }


_QUANTILES = (("p50", 0.5), ("p95", 0.95), ("p99", 0.99))


def _baseline(
    prompts: Sequence[LabelledPrompt], labels: Sequence[str], burden_bytes: int
) -> dict[str, Any]:
    right = [label == prompt.label for label, prompt in zip(labels, prompts, strict=True)]
    return {
        "accuracy": _accuracy(right),
        "accuracy_interval_95": _interval(right),
        "burden_bytes": burden_bytes,
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
