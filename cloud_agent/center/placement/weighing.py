"""What a plan is worth until the next placement: its jobs, what they teach, and its price."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from cloud_agent.center.placement.fluid import Prospects, pour

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from cloud_agent.center.catalogue.cards import ModelCard
    from cloud_agent.center.placement.beliefs import Demand, Outlooks
    from cloud_agent.center.placement.preferences import Preference

    Floats = NDArray[np.float64]
    Indexes = NDArray[np.int64]


class Holding(NamedTuple):
    """What a node holds and could hold.

    ``model`` is the one it is meant to run; ``on_disk`` are those that need no moving, and
    ``reachable`` those that could be moved to it: None for all.
    """

    node: str
    model: str
    memory_bytes: float
    bytes_per_s: float
    rtt_s: float
    on_disk: frozenset[str]
    reachable: frozenset[str] | None = None

    def can_have(self, model: str) -> bool:
        """Say whether the node has a model, or could be sent it."""
        return self.reachable is None or model in self.reachable or model in self.on_disk


class Horizon(NamedTuple):
    """How long until the next placement."""

    rounds: int
    round_s: float


class Prices(NamedTuple):
    """What a nat of information and a second of moving a model are worth."""

    nat: float
    transfer_s: float


class Change(NamedTuple):
    """One node gets another model: what that brings until the next placement, and what it costs.

    ``gain`` is what the plan would lose without this change, cost included.
    """

    node: str
    before: str
    after: str
    gain: float
    cost: float


class Weighing:
    """One placement's question in arrays: plans are rows of indexes of models, one per node."""

    def __init__(
        self,
        cards: Sequence[ModelCard],
        holdings: Sequence[Holding],
        outlooks: Outlooks,
        demand: Demand,
        horizon: Horizon,
        preference: Preference,
        prices: Prices,
    ) -> None:
        self._cards = cards
        self._holdings = holdings
        self._preference = preference
        self._prices = prices
        names = [card.name for card in cards]
        self.current = np.array([names.index(holding.model) for holding in holdings])
        self._jobs = horizon.rounds * demand.jobs_per_round
        mix = demand.mix
        per_s = demand.jobs_per_round / horizon.round_s
        seen = [
            [[outlooks.outlook(h.node, card.name, kind) for card in cards] for h in holdings]
            for kind in mix
        ]
        figures = np.array(seen)
        self._prospects = Prospects(
            figures[..., 0],
            figures[..., 1],
            np.array([holding.rtt_s for holding in holdings]),
            np.array([per_s * share for share in mix.values()]),
        )
        self._quality_nats = figures[:, 0, :, 3]
        self._horizon_s = horizon.rounds * horizon.round_s
        base = float(pour(self.current[None], self._prospects, preference).worth[0])
        lost_per_s = max(base, 0.0) * per_s / len(holdings)
        self._costs = np.array([[self._cost(h, c, lost_per_s) for c in cards] for h in holdings])

    def values(self, plans: Indexes) -> Floats:
        """Return what each plan is worth until the next placement; shape (plans,)."""
        flow = pour(plans, self._prospects, self._preference)
        nodes = np.arange(plans.shape[1])
        moved = np.where(plans != self.current, self._costs[nodes, plans], 0.0).sum(axis=1)
        values: Floats = self._jobs * flow.worth - moved
        if self._prices.nat:
            values += self._prices.nat * self._lessons(plans, flow.rates)
        return values

    def worth(self, plan: Indexes) -> float:
        """Return the mean worth of a job under a plan."""
        return float(pour(plan[None], self._prospects, self._preference).worth[0])

    def models(self, plan: Indexes) -> dict[str, str]:
        """Return a plan by the names of nodes and models."""
        return {
            h.node: self._cards[model].name for h, model in zip(self._holdings, plan, strict=True)
        }

    def changes(self, plan: Indexes) -> tuple[Change, ...]:
        """Return what differs between a plan and the current one."""
        nodes = np.flatnonzero(plan != self.current)
        if not len(nodes):
            return ()
        without = np.repeat(plan[None], len(nodes) + 1, axis=0)
        without[np.arange(len(nodes)), nodes] = self.current[nodes]
        values = self.values(without)
        return tuple(
            Change(
                self._holdings[node].node,
                self._holdings[node].model,
                self._cards[plan[node]].name,
                float(values[-1] - values[row]),
                float(self._costs[node, plan[node]]),
            )
            for row, node in enumerate(nodes.tolist())
        )

    def _cost(self, holding: Holding, card: ModelCard, lost_per_s: float) -> float:
        """Return what it costs to give a node a model: moving it, and the pause if it needs one."""
        cost = 0.0
        if card.name not in holding.on_disk:
            cost += self._prices.transfer_s * card.size_bytes / holding.bytes_per_s
        running = next(c.memory_bytes for c in self._cards if c.name == holding.model)
        if running + card.memory_bytes > holding.memory_bytes:
            cost += card.load_s * lost_per_s
        return cost

    def _lessons(self, plans: Indexes, rates: Floats) -> Floats:
        """Return the nats that each plan's jobs would teach about the models; shape (plans,).

        The next answer's nats are exact; n answers of one model and kind teach as n looks at a
        normal mean do, which the first fixes: ½ ln(1 + n (e^(2 nats) − 1)).
        """
        lessons = np.zeros(len(plans))
        for model in range(len(self._cards)):
            jobs = (rates * (plans == model)).sum(axis=2) * self._horizon_s
            first = np.expm1(2 * self._quality_nats[:, model])[:, None]
            lessons += 0.5 * np.log1p(jobs * first).sum(axis=0)
        return lessons
