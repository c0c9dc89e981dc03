"""How few agents will do."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import msgspec
import pytest

from experiments.replay.records import LOST
from experiments.simulator.capacity import Goal, Tried, find_fewest, sum_up
from experiments.simulator.simulate import simulate
from shared.agent.settings import LimitSettings
from shared.cascade.policies import PassAll
from tests.support.simulated import plays, world

if TYPE_CHECKING:
    from collections.abc import Mapping


class Load:
    """Tiers with so much to do; the latency goes with the use of the busiest.

    An agent that is busy all the time lets one prompt in fifty end worse.
    """

    def __init__(self, work: dict[str, float], *, worse_share: float = 0.02) -> None:
        self.work = work
        self.worse_share = worse_share
        self.runs = 0

    def run(self, agents: Mapping[str, int]) -> Tried:
        self.runs += 1
        busy = {tier: min(self.work[tier] / count, 1.0) for tier, count in agents.items()}
        worst = max(busy.values())
        worse_share = self.worse_share if worst == 1.0 else 0.0
        return Tried(dict(agents), 10 / (1 - worst) if worst < 1 else 1e6, worse_share, busy)


def test_it_finds_the_fewest_that_reach_the_goal() -> None:
    load = Load({"edge": 5.2, "cloud": 1.1})

    found = find_fewest(("edge", "cloud"), 32, Goal(40.0, 0.001), load.run)

    assert found.reached
    assert found.tried[-1].agents == {"edge": 7, "cloud": 2}
    assert found.tried[-1].p99_ms <= 40.0
    for tier in ("edge", "cloud"):
        one_less = found.tried[-1].agents | {tier: found.tried[-1].agents[tier] - 1}
        assert load.run(one_less).p99_ms > 40.0


def test_it_says_when_even_plenty_will_not_do() -> None:
    load = Load({"edge": 5.2})

    found = find_fewest(("edge",), 8, Goal(5.0, 0.001), load.run)

    assert not found.reached
    assert load.runs == 1


def test_one_agent_is_enough_for_hardly_any_work() -> None:
    load = Load({"edge": 0.01, "cloud": 0.0})

    found = find_fewest(("edge", "cloud"), 8, Goal(40.0, 0.001), load.run)

    assert found.tried[-1].agents == {"edge": 1, "cloud": 1}


def test_prompts_that_end_worse_are_no_way_to_be_fast() -> None:
    """An agent that declines most of what it gets leaves the rest a short queue."""
    goal = Goal(p99_ms=math.inf, worse_share=0.001)

    strict = find_fewest(("edge",), 8, goal, Load({"edge": 5.2}).run)
    lax = find_fewest(("edge",), 8, goal._replace(worse_share=0.05), Load({"edge": 5.2}).run)

    assert strict.tried[-1].agents == {"edge": 6}
    assert lax.tried[-1].agents["edge"] < 6


def test_what_was_simulated_is_summed_up() -> None:
    times = [number * 0.001 for number in range(400)]
    limits = LimitSettings(queue_prompts=20)
    plan = world(device=PassAll(), devices=4, model_us=(100.0, 50_000.0, 100.0), limits=limits)
    simulated = simulate(plan, plays(times, devices=4), timeout_s=5.0)

    tried = sum_up({"edge": 1}, simulated)

    degraded = sum(bool(record.degraded) for record in simulated.records)
    assert tried.worse_share == pytest.approx(degraded / 400)
    assert degraded > 100
    assert tried.busy["edge"] > 0.8 > tried.busy["device"]
    slowest = sorted(record.latency_s for record in simulated.records)[-5]
    assert tried.p99_ms == pytest.approx(slowest * 1000)


def test_an_answer_that_never_came_took_for_ever() -> None:
    simulated = simulate(world(), plays([0.0, 0.1]))
    lost = [msgspec.structs.replace(record, error=LOST) for record in simulated.records]

    tried = sum_up({}, simulated._replace(records=lost))

    assert tried.p99_ms == math.inf
    assert tried.worse_share == 1.0
