"""How often a Q-network has to play a fleet before it is as good as active inference at once."""

from __future__ import annotations

import random
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from cloud_agent.center.placement.allocators import ActiveInference, AllocatorContext, Dqn
from cloud_agent.center.placement.allocators.dqn import DqnAllocator
from cloud_agent.center.placement.beliefs import Beliefs
from cloud_agent.center.placement.preferences import Weighted
from experiments.placement.episode import run_episode
from experiments.placement.world import draw_world

if TYPE_CHECKING:
    from collections.abc import Callable

    from cloud_agent.center.placement.allocators import AllocatorSettings
    from experiments.placement.episode import Episode
    from experiments.placement.world import FleetWorld, WorldSettings


class Pretraining(NamedTuple):
    """Mean worth of a job in each episode of a network that goes on learning, and what to reach.

    ``ours`` is that of active inference in the same episodes, each time from nothing.
    """

    network: list[float]
    ours: list[float]

    @property
    def ties_after(self) -> int | None:
        """The number of episodes played before the first one that is as good as ours, if any."""
        pairs = zip(self.network, self.ours, strict=True)
        return next((number for number, (dqn, ours) in enumerate(pairs) if dqn >= ours), None)


def pretrain(
    settings: WorldSettings, episodes: int, seed: int, watch: Callable[[], None]
) -> Pretraining:
    """Play one fleet again and again, with other jobs each time."""
    world = draw_world(settings, seed)
    context = AllocatorContext(
        world.catalogue,
        Beliefs(world.catalogue),
        Weighted(),
        random.Random(seed),  # noqa: S311 - a simulation
        world.nodes,
    )
    taught = DqnAllocator(Dqn(), context)
    found = Pretraining([], [])
    for number in range(episodes):
        again = draw_world(settings, seed, jobs=number)
        taught.forget_pending()
        found.network.append(_utility(again, Dqn(), taught))
        found.ours.append(_utility(again, ActiveInference(), None))
        watch()
    return found


def _utility(world: FleetWorld, allocator: AllocatorSettings, taught: DqnAllocator | None) -> float:
    episode: Episode = run_episode(world, allocator, Weighted(), taught=taught)
    return float(np.mean([each.worth for each in episode.ended]))
