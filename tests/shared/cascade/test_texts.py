"""RecServe's rule on the confidences of a real language model, held against the published one."""

from __future__ import annotations

import random
from typing import TYPE_CHECKING
from uuid import uuid4

import numpy as np
import pytest

from shared.cascade.policies import Quantile
from shared.cascade.tier import Escalation, Tier
from shared.messages import Prompt, Scored
from shared.runtimes import ModelSettings, load_model
from shared.tasks import Request

if TYPE_CHECKING:
    from pathlib import Path

WORDS = ("the", "valve", "pump", "leaks", "and", "sticks", "ein", "Hund", "film", "long", "why")
PROMPTS = 600
BETA = 0.3


@pytest.fixture(scope="module")
def answers(generator: Path) -> list[Scored]:
    draw = random.Random(3)
    texts = [" ".join(draw.choices(WORDS, k=draw.randint(2, 9))) for _ in range(PROMPTS)]
    model = load_model(ModelSettings(source=str(generator), runtime="genai"))
    entries = model.answer([Request("generate", text, {"max_new_tokens": 8}) for text in texts])
    model.close()
    return [entry for entry in entries if isinstance(entry, Scored)]


def decided(answers: list[Scored]) -> list[bool]:
    """Return for each prompt whether a new tier sends it up."""
    tier = Tier("device", Quantile(beta=BETA), ("edge",))
    prompt = Prompt(uuid4(), "device-1", "generate", "write", 60.0)
    return [
        isinstance(
            tier.decide("device-1", prompt, answer, arrived_s=0.0, now_s=float(number)), Escalation
        )
        for number, answer in enumerate(answers)
    ]


def test_each_decision_is_that_of_the_published_rule(answers: list[Scored]) -> None:
    assert len(answers) == PROMPTS
    confidences = [answer.confidence for answer in answers]
    published = [
        confidence < np.quantile(confidences[: number + 1], BETA)
        for number, confidence in enumerate(confidences)
    ]
    assert decided(answers) == published


def test_after_three_hundred_prompts_the_rate_is_held_within_two_points(
    answers: list[Scored],
) -> None:
    up = np.array(decided(answers))
    rates = np.cumsum(up) / np.arange(1, len(up) + 1)
    assert len({answer.confidence for answer in answers}) > PROMPTS / 2
    assert np.abs(rates[299:] - BETA).max() <= 0.02
