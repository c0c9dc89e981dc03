"""Who answers what: allocators, one file each, chosen by ``kind`` in the centre's settings.

All are pure: they are given a job, the nodes that may take it, and a source of random draws.
``active_inference`` is the default; the others are what it is held against.
"""

from __future__ import annotations

from typing import Any, Final, TypeAlias

from cloud_agent.center.placement.allocators.active_inference import (
    ActiveInference,
    ActiveInferenceAllocator,
    FreeEnergy,
    policy,
)
from cloud_agent.center.placement.allocators.base import Allocator, AllocatorContext
from cloud_agent.center.placement.allocators.dqn import Dqn, DqnAllocator
from cloud_agent.center.placement.allocators.epsilon_greedy import (
    EpsilonGreedy,
    EpsilonGreedyAllocator,
)
from cloud_agent.center.placement.allocators.greedy import Greedy, GreedyAllocator
from cloud_agent.center.placement.allocators.greedy_accuracy import (
    GreedyAccuracy,
    GreedyAccuracyAllocator,
)
from cloud_agent.center.placement.allocators.learned import Learned, LearnedAllocator
from cloud_agent.center.placement.allocators.linucb import LinUcb, LinUcbAllocator
from cloud_agent.center.placement.allocators.oracle import Oracle, OracleAllocator
from cloud_agent.center.placement.allocators.round_robin import RoundRobin, RoundRobinAllocator
from cloud_agent.center.placement.allocators.shortest_queue import (
    ShortestQueue,
    ShortestQueueAllocator,
)
from cloud_agent.center.placement.allocators.thompson import Thompson, ThompsonAllocator
from cloud_agent.center.placement.allocators.uniform import Uniform, UniformAllocator

FleetAllocator: TypeAlias = (
    ActiveInference
    | EpsilonGreedy
    | Greedy
    | GreedyAccuracy
    | Learned
    | LinUcb
    | RoundRobin
    | ShortestQueue
    | Thompson
    | Uniform
)
"""Those that can serve a fleet, whose nodes come and go and whose truth nobody knows."""
AllocatorSettings: TypeAlias = FleetAllocator | Dqn | Oracle

__all__ = [
    "ActiveInference",
    "ActiveInferenceAllocator",
    "Allocator",
    "AllocatorContext",
    "AllocatorSettings",
    "Dqn",
    "EpsilonGreedy",
    "FleetAllocator",
    "FreeEnergy",
    "Greedy",
    "GreedyAccuracy",
    "Learned",
    "LinUcb",
    "Oracle",
    "RoundRobin",
    "ShortestQueue",
    "Thompson",
    "Uniform",
    "make_allocator",
    "policy",
]

_ALLOCATORS: Final[dict[type, Any]] = {
    ActiveInference: ActiveInferenceAllocator,
    Dqn: DqnAllocator,
    EpsilonGreedy: EpsilonGreedyAllocator,
    Greedy: GreedyAllocator,
    GreedyAccuracy: GreedyAccuracyAllocator,
    Learned: LearnedAllocator,
    LinUcb: LinUcbAllocator,
    Oracle: OracleAllocator,
    RoundRobin: RoundRobinAllocator,
    ShortestQueue: ShortestQueueAllocator,
    Thompson: ThompsonAllocator,
    Uniform: UniformAllocator,
}


def make_allocator(settings: AllocatorSettings, context: AllocatorContext) -> Allocator:
    """Return a fresh allocator; raises ``SettingsError`` where it cannot be had."""
    allocator: Allocator = _ALLOCATORS[type(settings)](settings, context)
    return allocator
