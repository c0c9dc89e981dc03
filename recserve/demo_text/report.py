"""What the demo of texts did, as plain numbers."""

from __future__ import annotations

import platform
from importlib.metadata import version
from typing import TYPE_CHECKING, Any
from uuid import uuid4

import numpy as np

from experiments.evaluation.text_quality import (
    bleu_interval,
    corpus_bleu,
    judge,
    mean_interval,
)
from recserve.demo.report import latencies_ms
from shared.messages import Hop, Prompt, Result
from shared.wire.burden import packet_bytes
from shared.wire.codec import encode_prompt, encode_result

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from experiments.datasets.pairs import PairSet
    from experiments.evaluation.statistics import Interval
    from experiments.evaluation.text_matrix import TextMatrix, TierTexts
    from experiments.evaluation.text_quality import TextQuality
    from experiments.testbed.client import Answer
    from recserve.demo.stream import DemoAnswers
    from shared.wire.topics import Topics

_PACKAGES = ("recserve", "onnxruntime-genai", "onnxruntime", "paho-mqtt", "sacrebleu", "msgspec")
CASCADE = "cascade"


def build_report(
    captions: PairSet,
    answered: DemoAnswers,
    *,
    beta: Mapping[str, float | None],
    alone: TextMatrix,
    burden: Mapping[str, int],
    topics: Topics,
) -> dict[str, Any]:
    """Put the report together.

    ``beta`` is by tier, from the device up; ``alone`` has what each tier's model writes by itself;
    ``burden`` the bytes that the agents counted on each link.
    """
    tiers = list(beta)
    got = [answer for answer in answered.answers if answer is not None]
    said = [(answer or {}).get("text", "") for answer in answered.answers]
    qualities = {CASCADE: judge(said, captions.references)}
    qualities |= dict(zip(tiers, alone.qualities, strict=True))
    by_tier = dict(zip(tiers, alone.tiers, strict=True))
    return {
        "prompts": len(captions),
        "results": len(got),
        "duplicates": answered.duplicates,
        "errors": sum("error" in answer for answer in got),
        "degraded": sum("degraded" in answer for answer in got),
        "elapsed_s": round(answered.elapsed_s, 3),
        "beta": beta[tiers[0]],
        "tiers": {
            tier: _tier(tier, got, len(captions), beta[tier], by_tier[tier]) for tier in tiers
        },
        **_scores(qualities),
        "burden_bytes": dict(burden),
        "alone_bytes": {
            tier: _alone_bytes(captions, texts, tiers[0], topics) for tier, texts in by_tier.items()
        },
        "versions": {name: version(name) for name in _PACKAGES}
        | {"python": platform.python_version(), "machine": platform.machine()},
    }


def _scores(qualities: Mapping[str, TextQuality]) -> dict[str, Any]:
    """Return BLEU and chrF, from 0 to 100, with their 95 % intervals, by who wrote."""
    return {
        "bleu": {who: round(corpus_bleu(q.counts.sum(axis=0)), 2) for who, q in qualities.items()},
        "bleu_interval_95": {who: _ends(bleu_interval(q.counts)) for who, q in qualities.items()},
        "chrf": {who: round(float(q.chrf.mean()) * 100, 2) for who, q in qualities.items()},
        "chrf_interval_95": {
            who: _ends(mean_interval(q.chrf * 100)) for who, q in qualities.items()
        },
    }


def _tier(
    tier: str, got: Sequence[Answer], prompts: int, beta: float | None, alone: TierTexts
) -> dict[str, Any]:
    """Summarise what one tier saw, and what it wrote."""
    own = [answer for answer in got if answer.get("tier") == tier]
    judged = [answer for answer in got if any(hop["tier"] == tier for hop in answer["hops"])]
    sent_on = sum(answer["hops"][-1]["tier"] != tier or "degraded" in answer for answer in judged)
    return {
        "share": round(len(own) / prompts, 4),
        "judged": len(judged),
        "escalation_rate": round(sent_on / len(judged), 4) if judged else None,
        "beta": beta,
        "tokens": sum(answer.get("tokens_out", 0) for answer in own),
        "tokens_s": round(float(alone.tokens.sum() / (alone.elapsed_us.sum() / 1e6)), 1),
        "latency_ms": latencies_ms([answer["elapsed_ms"] for answer in own]),
    }


def _alone_bytes(captions: PairSet, alone: TierTexts, bottom: str, topics: Topics) -> int:
    """Return the bytes of sending every caption straight to one tier and its result back."""
    if alone.tier == bottom:
        return 0
    origin, agent, total = f"{bottom}-1", f"{alone.tier}-1", 0
    for text, answer in zip(captions.texts, alone.answers, strict=True):
        prompt = Prompt(uuid4(), origin, "generate", text, 30.0)
        total += packet_bytes(topics.prompt(agent, "generate", origin), encode_prompt(prompt, 0.0))
        hop = Hop(alone.tier, agent, 0.9, 0.5, 70_000)
        result = Result(prompt.id, answer, (hop,))
        total += packet_bytes(topics.results(origin), encode_result(result, known_hops=0))
    return total


def _ends(interval: Interval) -> list[float]:
    return [round(float(end), 2) for end in np.array(interval)]
