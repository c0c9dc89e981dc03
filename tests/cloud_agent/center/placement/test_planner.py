"""Models are moved where that is worth it, only there, and never where there is no room."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cloud_agent.center.catalogue.cards import Catalogue, ModelCard
from cloud_agent.center.placement.beliefs import CatalogueOutlooks, Demand, Outlook
from cloud_agent.center.placement.fluid import Prospects, pour
from cloud_agent.center.placement.planner import (
    Holding,
    Horizon,
    PlacementPlanner,
    PlacementSettings,
)
from cloud_agent.center.placement.preferences import Weighted

GIB = float(1 << 30)
HORIZON = Horizon(20, 4.0)
KINDS = ("question", "summary")


def catalogue(*, better: float = 0.8) -> Catalogue:
    rows = (("small", 0.4, 0.02, 1.0), ("large", better, 0.05, 4.0))
    return Catalogue(
        [
            ModelCard(
                name=name,
                size_bytes=gib * GIB,
                memory_bytes=gib * GIB,
                load_s=5.0,
                token_s=token_s,
                quality=dict.fromkeys(KINDS, quality),
            )
            for name, quality, token_s, gib in rows
        ],
        {"question": 40.0, "summary": 128.0},
    )


def demand(per_round: int = 1) -> Demand:
    found = Demand(KINDS)
    for _ in range(400):
        found.learn(["question"] * per_round)
    return found


def holding(node: str, model: str = "small", memory_gib: float = 8.0, **more: object) -> Holding:
    given = {"on_disk": frozenset({model}), "bytes_per_s": 0.2 * GIB, **more}
    return Holding(node=node, model=model, memory_bytes=memory_gib * GIB, rtt_s=0.05, **given)  # type: ignore[arg-type]


def planner(cards: Catalogue, **given: float) -> PlacementPlanner:
    return PlacementPlanner(PlacementSettings(**given), cards, Weighted())  # type: ignore[arg-type]


def test_a_better_model_goes_where_there_is_room_for_it() -> None:
    cards = catalogue()
    nodes = [holding("roomy"), holding("narrow", memory_gib=3.0)]
    plan = planner(cards).plan(nodes, CatalogueOutlooks(cards), demand(), HORIZON)
    assert plan.models == {"roomy": "large", "narrow": "small"}
    [change] = plan.changes
    assert (change.node, change.before, change.after) == ("roomy", "small", "large")
    assert change.gain > 0 < change.cost


def test_a_model_that_is_no_better_moves_nowhere() -> None:
    cards = catalogue(better=0.4)
    plan = planner(cards).plan(
        [holding("a"), holding("b")], CatalogueOutlooks(cards), demand(), HORIZON
    )
    assert plan.changes == ()
    assert set(plan.models.values()) == {"small"}


def test_a_gain_within_the_hysteresis_moves_nothing() -> None:
    cards = catalogue(better=0.48)
    outlooks = CatalogueOutlooks(cards)
    eager = planner(cards, hysteresis=0.0, transfer_price=0.0)
    calm = planner(cards, hysteresis=0.5, transfer_price=0.0)
    nodes = [holding("a"), holding("b")]
    assert eager.plan(nodes, outlooks, demand(), HORIZON).changes
    assert not calm.plan(nodes, outlooks, demand(), HORIZON).changes


def test_a_link_that_is_too_slow_for_a_model_keeps_the_old_one() -> None:
    cards = catalogue()
    outlooks = CatalogueOutlooks(cards)
    slow = holding("far", bytes_per_s=GIB / 3000)
    assert not planner(cards).plan([slow], outlooks, demand(), HORIZON).changes
    there = slow._replace(on_disk=frozenset({"small", "large"}))
    assert planner(cards).plan([there], outlooks, demand(), HORIZON).changes


def test_of_two_nodes_alike_the_one_that_holds_the_model_gets_it() -> None:
    cards = catalogue()
    outlooks = CatalogueOutlooks(cards)
    eager = planner(cards, transfer_price=0.05, epistemic=0.0, hysteresis=0.0)
    plain = {name: holding(name, bytes_per_s=GIB / 60) for name in ("a", "b")}
    for holder in plain:
        nodes = [
            node._replace(on_disk=frozenset({"small", "large"})) if name == holder else node
            for name, node in plain.items()
        ]
        plan = eager.plan(nodes, outlooks, demand(), HORIZON)
        assert [change.node for change in plan.changes] == [holder]


def test_a_model_that_cannot_be_sent_to_a_node_is_planned_only_where_it_is() -> None:
    cards = catalogue()
    outlooks = CatalogueOutlooks(cards)
    nothing = frozenset[str]()
    here = holding("here", on_disk=frozenset({"small", "large"}), reachable=nothing)
    there = holding("there", reachable=nothing)
    plan = planner(cards).plan([here, there], outlooks, demand(), HORIZON)
    assert plan.models == {"here": "large", "there": "small"}


def test_a_node_that_has_just_changed_is_left_alone_and_does_not_go_back_soon() -> None:
    class Turning:
        """Good models become bad, and bad ones good."""

        best = "large"

        def outlook(self, node: str, model: str, kind: str) -> Outlook:
            del node, kind
            return Outlook(0.9 if model == self.best else 0.1, 0.5, 0.05)

    cards, outlooks = catalogue(), Turning()
    slow = planner(cards, min_dwell=2, min_return=4)
    held = "small"
    models = []
    for _ in range(8):
        outlooks.best = "large" if held == "small" else "small"
        node = holding("a", held)._replace(on_disk=frozenset({"small", "large"}))
        held = slow.plan([node], outlooks, demand(), HORIZON).models["a"]
        models.append(held)
    assert models == ["large"] * 4 + ["small"] * 4


@settings(max_examples=40, deadline=None)
@given(
    memories=st.lists(st.floats(1.0, 10.0), min_size=1, max_size=5),
    qualities=st.lists(st.floats(0, 1), min_size=2, max_size=2),
    per_round=st.integers(1, 40),
)
def test_no_plan_exceeds_a_nodes_memory(
    memories: list[float], qualities: list[float], per_round: int
) -> None:
    cards = catalogue()

    class Drawn:
        def outlook(self, node: str, model: str, kind: str) -> Outlook:
            del node, kind
            return Outlook(qualities[model == "large"], 0.5, 0.05, 0.1, 0.1)

    nodes = [holding(f"n{i}", memory_gib=gib) for i, gib in enumerate(memories)]
    plan = planner(cards).plan(nodes, Drawn(), demand(per_round), HORIZON)
    for node in nodes:
        assert cards[plan.models[node.node]].memory_bytes <= node.memory_bytes


def test_water_goes_where_it_is_worth_most_and_spreads_as_queues_grow() -> None:
    preference = Weighted()
    quality = np.array([[[0.8], [0.6]]])
    service_s = np.array([[[1.0], [1.0]]])
    rtt_s = np.zeros(2)
    plans = np.zeros((1, 2), dtype=np.int64)
    calm = pour(plans, Prospects(quality, service_s, rtt_s, np.array([0.1])), preference)
    busy = pour(plans, Prospects(quality, service_s, rtt_s, np.array([1.4])), preference)
    assert calm.rates[0, 0] == pytest.approx([0.1, 0.0])
    assert busy.rates[0, 0].sum() == pytest.approx(1.4)
    assert busy.rates[0, 0].min() > 0.4
    assert busy.worth[0] < calm.worth[0]


def test_more_than_can_be_done_is_worth_less_than_nothing() -> None:
    plans = np.zeros((1, 1), dtype=np.int64)
    given = Prospects(np.ones((1, 1, 1)), np.ones((1, 1, 1)), np.zeros(1), np.array([5.0]))
    assert pour(plans, given, Weighted()).worth[0] < 0
