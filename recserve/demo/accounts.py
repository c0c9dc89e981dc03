"""What both demos report of their tiers, whatever the task: shares, rates, times and bytes."""

from __future__ import annotations

import platform
from importlib.metadata import version
from typing import TYPE_CHECKING, Any, Final
from uuid import uuid4

import numpy as np

from shared.messages import Hop, Prompt, Result
from shared.wire.burden import packet_bytes
from shared.wire.codec import encode_prompt, encode_result

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from experiments.testbed.client import Answer
    from recserve.demo.stream import DemoAnswers
    from shared.tasks import Answer as Said
    from shared.tasks import Task
    from shared.wire.topics import Topics

_QUANTILES: Final = (("p50", 0.5), ("p95", 0.95), ("p99", 0.99))


def account_of_stream(answered: DemoAnswers) -> dict[str, Any]:
    """Return what became of the prompts that were streamed, as counts."""
    got = [answer for answer in answered.answers if answer is not None]
    return {
        "prompts": len(answered.answers),
        "results": len(got),
        "duplicates": answered.duplicates,
        "errors": sum("error" in answer for answer in got),
        "degraded": sum("degraded" in answer for answer in got),
        "elapsed_s": round(answered.elapsed_s, 3),
    }


def account_of_tier(
    tier: str, got: Sequence[Answer], prompts: int, beta: float | None
) -> dict[str, Any]:
    """Return what one tier saw of what was answered, and what it sent on."""
    own = [answer for answer in got if answer.get("tier") == tier]
    judged = [answer for answer in got if any(hop["tier"] == tier for hop in answer["hops"])]
    sent_on = sum(answer["hops"][-1]["tier"] != tier or "degraded" in answer for answer in judged)
    return {
        "share": round(len(own) / prompts, 4),
        "judged": len(judged),
        "escalation_rate": round(sent_on / len(judged), 4) if judged else None,
        "beta": beta,
        "latency_ms": _quantiles([answer["elapsed_ms"] for answer in own]),
    }


def alone_bytes(
    task: Task, said: Iterable[tuple[str, Said]], tier: str, bottom: str, topics: Topics
) -> int:
    """Return the bytes of sending texts straight to one tier, and what it said to each back.

    One hop each way, with the topics, payloads and packet headers that the agents use.
    """
    if tier == bottom:
        return 0
    origin, agent, total = f"{bottom}-1", f"{tier}-1", 0
    for text, answer in said:
        prompt = Prompt(uuid4(), origin, task, text, 30.0)
        total += packet_bytes(topics.prompt(agent, task, origin), encode_prompt(prompt, 0.0))
        result = Result(prompt.id, answer, (Hop(tier, agent, 0.9, 0.5, 70_000),))
        total += packet_bytes(topics.results(origin), encode_result(result, known_hops=0))
    return total


def versions_of(packages: Iterable[str]) -> dict[str, str]:
    """Return the versions of packages, of Python, and the machine."""
    own = {"python": platform.python_version(), "machine": platform.machine()}
    return {name: version(name) for name in packages} | own


def _quantiles(times_ms: Sequence[float]) -> dict[str, float | None]:
    """Return the quantiles of times that people look at; None of no times."""
    return {
        name: round(float(np.quantile(times_ms, q)), 3) if times_ms else None
        for name, q in _QUANTILES
    }
