from __future__ import annotations

import random
from typing import TYPE_CHECKING, Any

import pytest

from edge_agent.memory.router import Situation, Way, WayPrices, by_rule, by_worth

if TYPE_CHECKING:
    from collections.abc import Callable

    from edge_agent.memory.router import Decision


def test_words_that_were_asked_before_are_answered_from_memory_once_confirmed() -> None:
    asked = Situation(same=1.0, exact=True, stable=True, direct=0.95, examples=0.9, edge=0.2)

    assert by_rule(asked).way == "direct"


@pytest.mark.parametrize(
    ("situation", "way"),
    [
        (Situation(same=0.995, stable=True, direct=0.95), "direct"),
        (Situation(same=0.995, stable=False, direct=0.95, examples=0.9), "examples"),
        (Situation(same=0.995, stable=True, short=False, direct=0.9, examples=0.9), "examples"),
        (Situation(ghost=True, edge=0.9), "edge"),
        (Situation(same=0.5, examples=0.95, good_examples=3), "examples"),
        (Situation(same=0.5, examples=0.95, good_examples=2), "cloud"),
        (Situation(edge=0.95), "edge"),
        (Situation(edge=0.5), "cloud"),
        (Situation(), "cloud"),
    ],
)
def test_the_readable_rule(situation: Situation, way: Way) -> None:
    assert by_rule(situation).way == way


def test_by_worth_takes_the_best_way_that_is_good_enough() -> None:
    draw, prices, right = random.Random(4), WayPrices(), 0
    for _ in range(1_000):
        chances: dict[Way, Any] = {way: draw.random() for way in ("direct", "examples", "edge")}
        cloud = draw.uniform(0.8, 1.0)
        found = by_worth(Situation(cloud=cloud, **chances), prices)
        allowed = {way: chance for way, chance in chances.items() if chance >= cloud - 0.02}
        allowed["cloud"] = cloud
        best = max(allowed, key=lambda way: allowed[way] - prices.of(way))
        right += found.way == best

    assert right >= 950


def test_nothing_good_enough_goes_to_the_cloud() -> None:
    poor = Situation(direct=0.5, examples=0.5, edge=0.5, cloud=0.6)

    assert by_worth(poor, least=0.7).way == "cloud"
    assert by_rule(poor, least=0.7).way == "cloud"


@pytest.mark.parametrize("rule", [by_rule, by_worth])
@pytest.mark.parametrize("chances", [{}, {"edge": 0.1}, {"direct": 0.4, "edge": 0.2}])
def test_without_the_cloud_the_best_of_the_edge_answers_and_is_degraded(
    rule: Callable[[Situation], Decision], chances: dict[str, Any]
) -> None:
    decision = rule(Situation(cloud_open=False, **chances))

    assert decision.way == max(chances, key=chances.__getitem__, default="edge")
    assert decision.degraded
