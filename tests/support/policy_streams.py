"""A made-up world with three models of known worth, to see policies act in."""

from __future__ import annotations

import math
import random
from typing import NamedTuple

from shared.cascade.policies import Feedback, Observation, PolicySettings
from shared.cascade.tier import Tier

TEXT_BYTES = 100


class Scored(NamedTuple):
    """One model's say: its confidence, and whether it is right."""

    confidence: float
    right: bool


class Outcome(NamedTuple):
    """What a run through the cascade came to, per prompt where it is a mean."""

    accuracy: float
    cost: float
    disagreement: float
    escalated: list[tuple[float, float]]  # at_s, confidence
    kept: list[float]
    device: Tier


def world(prompts: int, seed: int, *, drift: bool = False) -> list[list[Scored]]:
    """Draw what device, edge and cloud say; with ``drift`` all get worse half-way.

    A model's margin grows with its skill and the ease of the prompt; its sign says whether it is
    right, its size how sure it is.
    """
    draw = random.Random(seed)
    rows: list[list[Scored]] = []
    for number in range(prompts):
        ease = abs(draw.gauss(0.0, 1.2)) + 0.4
        tired = 0.6 if drift and number > prompts / 2 else 1.0
        row = []
        for skill in (0.9, 1.5, 2.6):
            margin = skill * tired * ease + draw.gauss(0.0, 1.0)
            row.append(Scored(1 / (1 + math.exp(-2 * abs(margin))), margin > 0))
        rows.append(row)
    return rows


def run(
    rows: list[list[Scored]],
    device: PolicySettings,
    edge: PolicySettings,
    *,
    times_s: list[float] | None = None,
    costs: tuple[float, float, float] = (1.0, 1.0, 1.0),
) -> Outcome:
    """Send every row through device, edge and cloud, and tell the policies what came back.

    ``costs`` are those of device to edge, edge to cloud, and device to cloud.
    """
    tiers = [
        Tier("device", device, ("edge", "cloud"), seed=1),
        Tier("edge", edge, ("cloud",), seed=2),
    ]
    right = disagreed = 0
    cost = 0.0
    escalated: list[tuple[float, float]] = []
    kept: list[float] = []
    for number, row in enumerate(rows):
        at_s = times_s[number] if times_s else float(number)
        seen = Observation(row[0].confidence, at_s, TEXT_BYTES)
        sent = tiers[0].route("classify", seen)
        level = sent.up
        if sent.up == 0:
            kept.append(seen.confidence)
        else:
            escalated.append((at_s, seen.confidence))
            cost += costs[0] if sent.up == 1 else costs[2]
            if sent.up == 1:
                seen_above = Observation(row[1].confidence, at_s, TEXT_BYTES)
                sent_above = tiers[1].route("classify", seen_above)
                if sent_above.up:
                    level, cost = 2, cost + costs[1]
                    agreed = row[2].right == row[1].right
                    returned = Feedback(agreed, row[2].confidence, 1)
                    tiers[1].feed_back("classify", seen_above, sent_above, returned)
            agreed = row[level].right == row[0].right
            tiers[0].feed_back(
                "classify", seen, sent, Feedback(agreed, row[level].confidence, level)
            )
        right += row[level].right
        disagreed += row[level].right != row[2].right
    count = len(rows)
    return Outcome(right / count, cost / count, disagreed / count, escalated, kept, tiers[0])
