"""How few agents will do: adds one where it is needed most until a goal is reached."""

from __future__ import annotations

import math
from collections import defaultdict
from typing import TYPE_CHECKING, Final, NamedTuple

from experiments.replay.records import LOST

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from experiments.simulator.simulate import Simulated

_LESS_WORK: Final = 0.5
"""Agents that are kept busy spend at least so much of what idle ones spend on a prompt."""


class Goal(NamedTuple):
    """The 99th percentile of latency to reach, and the share of prompts that may end worse.

    Worse are degraded answers, errors, and no answer at all.
    """

    p99_ms: float
    worse_share: float


class Tried(NamedTuple):
    """Numbers of agents by tier, and what came of them; ``busy`` is the mean share by tier."""

    agents: dict[str, int]
    p99_ms: float
    worse_share: float
    busy: dict[str, float]

    def reaches(self, goal: Goal) -> bool:
        """Say whether that is good enough."""
        return self.p99_ms <= goal.p99_ms and self.worse_share <= goal.worse_share


class Found(NamedTuple):
    """Everything that was tried, in order; ``reached`` says whether the last one will do."""

    tried: list[Tried]
    reached: bool


def find_fewest(
    tiers: Sequence[str], at_most: int, goal: Goal, run: Callable[[Mapping[str, int]], Tried]
) -> Found:
    """Find numbers of agents for these tiers that reach the goal.

    With ``at_most`` of each it is seen whether the goal can be reached at all, and how much there
    is to do; the search begins with what that takes at the least. From there one agent is added at
    a time, to the tier whose agents are busiest; a tier is left once it has ``at_most``.
    """
    plenty = run(dict.fromkeys(tiers, at_most))
    found = [plenty]
    agents = {tier: max(math.ceil(plenty.busy[tier] * at_most * _LESS_WORK), 1) for tier in tiers}
    while not found[-1].reaches(goal) or len(found) == 1:
        if not plenty.reaches(goal):
            return Found(found, reached=False)
        latest = run(dict(agents))
        found.append(latest)
        more = [tier for tier in tiers if agents[tier] < at_most]
        if not more:
            break
        agents[max(more, key=latest.busy.__getitem__)] += 1
    return Found(found, found[-1].reaches(goal))


def sum_up(agents: Mapping[str, int], simulated: Simulated) -> Tried:
    """Return what came of some numbers of agents; a prompt without an answer took for ever."""
    records = simulated.records
    ordered = sorted(math.inf if each.error == LOST else each.latency_s for each in records)
    worse = sum(bool(each.error or each.degraded) for each in records)
    busy: dict[str, list[float]] = defaultdict(list)
    for used in simulated.busy:
        busy[used.tier].append(used.share)
    return Tried(
        dict(agents),
        ordered[math.ceil(len(ordered) * 0.99) - 1] * 1000,
        worse / len(records),
        {tier: sum(shares) / len(shares) for tier, shares in busy.items()},
    )
