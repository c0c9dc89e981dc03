"""How few agents will do."""

from __future__ import annotations

from typing import TYPE_CHECKING

from planning.search import Tried, find_fewest

if TYPE_CHECKING:
    from collections.abc import Mapping


class Load:
    """Tiers with so much to do; the latency goes with the use of the busiest."""

    def __init__(self, work: dict[str, float]) -> None:
        self.work = work
        self.runs = 0

    def run(self, agents: Mapping[str, int]) -> Tried:
        self.runs += 1
        busy = {tier: min(self.work[tier] / count, 1.0) for tier, count in agents.items()}
        worst = max(busy.values())
        return Tried(dict(agents), 10 / (1 - worst) if worst < 1 else 1e6, busy)


def test_it_finds_the_fewest_that_reach_the_goal() -> None:
    load = Load({"edge": 5.2, "cloud": 1.1})

    found = find_fewest(("edge", "cloud"), 32, 40.0, load.run)

    assert found.reached
    assert found.tried[-1].agents == {"edge": 7, "cloud": 2}
    assert found.tried[-1].p99_ms <= 40.0
    for tier in ("edge", "cloud"):
        one_less = found.tried[-1].agents | {tier: found.tried[-1].agents[tier] - 1}
        assert load.run(one_less).p99_ms > 40.0


def test_it_says_when_even_plenty_will_not_do() -> None:
    load = Load({"edge": 5.2})

    found = find_fewest(("edge",), 8, 5.0, load.run)

    assert not found.reached
    assert load.runs == 1


def test_one_agent_is_enough_for_hardly_any_work() -> None:
    found = find_fewest(("edge", "cloud"), 8, 40.0, Load({"edge": 0.01, "cloud": 0.0}).run)

    assert found.tried[-1].agents == {"edge": 1, "cloud": 1}
