"""How few agents will do: adds one where it is needed most until a goal is reached."""

from __future__ import annotations

import math
from collections import defaultdict
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from planning.simulate import Simulated

_FULL = 0.95


class Tried(NamedTuple):
    """Numbers of agents by tier, the p99 of latency, and the share of cores each tier used."""

    agents: dict[str, int]
    p99_ms: float
    busy: dict[str, float]


class Found(NamedTuple):
    """Everything that was tried, in order; ``reached`` says whether the last one will do."""

    tried: list[Tried]
    reached: bool


def find_fewest(
    tiers: Sequence[str],
    at_most: int,
    p99_ms: float,
    run: Callable[[Mapping[str, int]], Tried],
) -> Found:
    """Find numbers of agents for these tiers with which latency is within the goal.

    With ``at_most`` of each it is seen whether the goal can be reached at all, and how much there
    is to do; no tier gets fewer than that takes. From there one agent is added at a time, to the
    tier whose agents are busiest.
    """
    plenty = run(dict.fromkeys(tiers, at_most))
    tried = [plenty]
    if plenty.p99_ms > p99_ms:
        return Found(tried, reached=False)
    agents = {tier: _least(plenty.busy[tier] * at_most) for tier in tiers}
    while True:
        latest = run(dict(agents))
        tried.append(latest)
        if latest.p99_ms <= p99_ms:
            return Found(tried, reached=True)
        more = [tier for tier in tiers if agents[tier] < at_most]
        if not more:
            return Found([*tried, plenty], reached=True)
        agents[max(more, key=latest.busy.__getitem__)] += 1


def tried(agents: Mapping[str, int], simulated: Simulated) -> Tried:
    """Sum up what came of some numbers of agents."""
    ordered = sorted(record.latency_s for record in simulated.records)
    p99_s = ordered[math.ceil(len(ordered) * 0.99) - 1]
    busy: dict[str, list[float]] = defaultdict(list)
    for used in simulated.busy:
        busy[used.tier].append(used.share)
    means = {tier: sum(shares) / len(shares) for tier, shares in busy.items()}
    return Tried(dict(agents), p99_s * 1000, means)


def _least(agents_full: float) -> int:
    """Return how many agents a load needs that would keep so many fully busy."""
    return max(math.ceil(agents_full / _FULL), 1)
