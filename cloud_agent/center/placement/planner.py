"""Which model each node should hold: the slow loop above the allocators.

A plan is weighed by what the jobs until the next placement are worth under it, what they would
teach, and what changing to it costs (``weighing``). From the plan that stands, the best single
change is made again and again until none helps; the outcome is taken only if it is better by more
than noise, and a node that has just changed is left alone.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Final, NamedTuple

import numpy as np
from msgspec import Meta

from cloud_agent.center.placement.weighing import Change, Holding, Horizon, Prices, Weighing
from shared.settings.base import Closed, Count

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from cloud_agent.center.catalogue.cards import Catalogue, ModelCard
    from cloud_agent.center.placement.beliefs import Demand, Outlooks
    from cloud_agent.center.placement.preferences import Preference

    Indexes = NDArray[np.int64]
    Bools = NDArray[np.bool_]

__all__ = ["Change", "FleetPlan", "Holding", "Horizon", "PlacementPlanner", "PlacementSettings"]

_SAME: Final = 1e-9


class PlacementSettings(Closed, frozen=True, kw_only=True):
    """How eagerly models are moved."""

    min_dwell: Annotated[
        Count, Meta(description="placements a node is left alone after its model changed")
    ] = 2
    min_return: Annotated[
        Count, Meta(description="placements before a node gets back a model it was taken off")
    ] = 5
    hysteresis: Annotated[
        float, Meta(ge=0, le=1, description="share by which a plan has to be better than ours")
    ] = 0.01
    epistemic: Annotated[
        float, Meta(ge=0, le=1e3, description="what a nat of information is worth")
    ] = 0.15
    transfer_price: Annotated[
        float, Meta(ge=0, le=1e3, description="what a second of moving a model costs")
    ] = 0.005


class FleetPlan(NamedTuple):
    """A model for every node, the changes that lead there, and the mean worth of a job then."""

    models: dict[str, str]
    changes: tuple[Change, ...]
    worth: float


class PlacementPlanner:
    """Remembers when which node changed; everything else it is told."""

    def __init__(
        self, settings: PlacementSettings, catalogue: Catalogue, preference: Preference
    ) -> None:
        self._settings = settings
        self._cards = list(catalogue)
        self._preference = preference
        self._number = 0
        self._left: dict[str, dict[str, int]] = {}
        """By node and model, at which placement the node was taken off that model."""

    def plan(
        self, holdings: Sequence[Holding], outlooks: Outlooks, demand: Demand, horizon: Horizon
    ) -> FleetPlan:
        """Return the plan for the time until the next placement."""
        self._number += 1
        prices = Prices(self._settings.epistemic, self._settings.transfer_price)
        weighing = Weighing(
            self._cards, holdings, outlooks, demand, horizon, self._preference, prices
        )
        allowed = np.array([[self._may(h, card) for card in self._cards] for h in holdings])
        best = _climb(weighing, allowed)
        base, value = weighing.values(np.array([weighing.current, best]))
        if value - base <= self._settings.hysteresis * abs(base):
            best = weighing.current
        changes = weighing.changes(best)
        for change in changes:
            self._left.setdefault(change.node, {})[change.before] = self._number
        return FleetPlan(weighing.models(best), changes, weighing.worth(best))

    def _may(self, holding: Holding, card: ModelCard) -> bool:
        """Say whether a node may be given a model now: it can have it, has room, and it is time."""
        if card.name == holding.model:
            return True
        left = self._left.get(holding.node, {})
        moved = max(left.values(), default=-self._settings.min_dwell)
        returned = left.get(card.name, -self._settings.min_return)
        return (
            holding.can_have(card.name)
            and card.memory_bytes <= holding.memory_bytes
            and self._number - moved >= self._settings.min_dwell
            and self._number - returned >= self._settings.min_return
        )


def _climb(weighing: Weighing, allowed: Bools) -> Indexes:
    """Return where the best single change, made again and again, leads from the current plan."""
    best = weighing.current
    value = weighing.values(best[None])[0]
    while True:
        nodes, models = np.nonzero(allowed & (best[:, None] != np.arange(allowed.shape[1])))
        if not len(nodes):
            return best
        tries = np.repeat(best[None], len(nodes), axis=0)
        tries[np.arange(len(nodes)), nodes] = models
        values = weighing.values(tries)
        first = int(values.argmax())
        if values[first] <= value + _SAME * abs(value):
            return best
        best, value = tries[first], values[first]
