"""What the demo of texts did, as plain numbers."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from experiments.evaluation.text_quality import (
    bleu_interval,
    corpus_bleu,
    judge,
    mean_interval,
)
from recserve.demo.accounts import (
    account_of_stream,
    account_of_tier,
    alone_bytes,
    versions_of,
)

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from experiments.datasets.pairs import PairSet
    from experiments.evaluation.text_matrix import TextMatrix, TierTexts
    from experiments.evaluation.text_quality import TextQuality
    from experiments.testbed.client import Answer
    from recserve.demo.stream import DemoAnswers
    from shared.telemetry.intervals import Interval
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
        **account_of_stream(answered),
        "beta": beta[tiers[0]],
        "tiers": {
            tier: _tier(tier, got, len(captions), beta[tier], by_tier[tier]) for tier in tiers
        },
        **_scores(qualities),
        "burden_bytes": dict(burden),
        "alone_bytes": {
            tier: alone_bytes(
                "generate",
                zip(captions.texts, texts.answers, strict=True),
                tier,
                tiers[0],
                topics,
            )
            for tier, texts in by_tier.items()
        },
        "versions": versions_of(_PACKAGES),
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
    written = [answer.get("tokens_out", 0) for answer in got if answer.get("tier") == tier]
    return {
        **account_of_tier(tier, got, prompts, beta),
        "tokens": sum(written),
        "tokens_s": round(float(alone.tokens.sum() / (alone.elapsed_us.sum() / 1e6)), 1),
    }


def _ends(interval: Interval) -> list[float]:
    return [round(float(end), 2) for end in np.array(interval)]
