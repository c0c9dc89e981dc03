"""What a plan came to, in tables and a sentence for the terminal."""

from __future__ import annotations

import statistics
from collections import defaultdict
from typing import TYPE_CHECKING

from experiments.grid import Grid

if TYPE_CHECKING:
    from experiments.simulator.capacity import Found, Tried
    from experiments.simulator.settings import GoalSettings
    from experiments.simulator.simulate import Simulated, Utilisation


def busy_grid(simulated: Simulated) -> Grid:
    """Say how busy the agents of each tier were, and how many of their machines' cores."""
    tiers: dict[str, list[Utilisation]] = defaultdict(list)
    for used in simulated.busy:
        tiers[used.tier or used.agent].append(used)
    rows = [
        [
            name,
            f"{len(each):,}",
            f"{statistics.fmean(used.share for used in each):.1%}",
            f"{max(used.share for used in each):.1%}",
            f"{statistics.fmean(used.cores for used in each):.1%}",
        ]
        for name, each in tiers.items()
    ]
    columns = ["", "agents", "busy", "the busiest", "cores in use"]
    return Grid("How busy they were (event loop or model, the busier of the two)", columns, rows)


def tried_grid(found: Found) -> Grid:
    """Say what each number of agents came to."""
    tiers = list(found.tried[0].agents)
    rows = [
        [
            _counts(tried),
            f"{tried.p99_ms:,.1f}",
            f"{tried.worse_share:.2%}",
            *(f"{tried.busy[tier]:.1%}" for tier in tiers),
        ]
        for tried in found.tried
    ]
    columns = ["agents", "p99 ms", "ended worse", *(f"{tier} busy" for tier in tiers)]
    return Grid("Tried", columns, rows)


def verdict(goal: GoalSettings, found: Found) -> str:
    """Say whether the goal can be reached, and with how many agents."""
    last = found.tried[-1]
    came_to = f"{last.p99_ms:,.1f} ms, {last.worse_share:.2%} ended worse"
    if found.reached:
        return f"{_counts(last)} agents reach a p99 of {goal.p99_ms:g} ms: {came_to}."
    return (
        f"Not even {_counts(last)} agents reach a p99 of {goal.p99_ms:g} ms with at most "
        f"{goal.worse_share:.2%} ended worse: {came_to}. It is the devices, the links, the broker "
        "or the models that take the time."
    )


def _counts(tried: Tried) -> str:
    return " and ".join(f"{count} {tier}" for tier, count in tried.agents.items())
