"""Why a job went where it went: the last decisions, each with what others would have done."""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING, Final

import msgspec

from cloud_agent.center.placement.allocators import (
    ActiveInference,
    ActiveInferenceAllocator,
    AllocatorSettings,
    Greedy,
    RoundRobin,
    ShortestQueue,
    make_allocator,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

    from cloud_agent.center.placement.allocators import Allocator, AllocatorContext
    from cloud_agent.center.placement.jobs import FleetJob, OpenNode

_KEPT: Final = 100
_SHADOWS: Final[dict[str, AllocatorSettings]] = {
    "round-robin": RoundRobin(),
    "shortest-queue": ShortestQueue(),
    "greedy": Greedy(),
}


class Weighed(msgspec.Struct, frozen=True):
    """One node as it was weighed: what the job would bring there, and what it would teach.

    Both are parts of the expected free energy, which is less the better the node is.
    """

    node: str
    model: str
    backlog_s: float
    pragmatic: float
    epistemic: float


class JobDecision(msgspec.Struct, frozen=True):
    """Where one job went, what spoke for it, and where others would have sent it."""

    job: str
    kind: str
    chosen: str
    weighed: tuple[Weighed, ...]
    others: dict[str, str]


class DecisionLog:
    """Remembers decisions, and has a few simple policies decide beside the real one."""

    def __init__(self, context: AllocatorContext, allocator: Allocator) -> None:
        weighing = allocator
        if not isinstance(weighing, ActiveInferenceAllocator):
            weighing = ActiveInferenceAllocator(ActiveInference(), context)
        self._weighing: ActiveInferenceAllocator = weighing
        self._shadows = {
            name: make_allocator(settings, context) for name, settings in _SHADOWS.items()
        }
        self._decisions: deque[JobDecision] = deque(maxlen=_KEPT)

    @property
    def latest(self) -> list[JobDecision]:
        """The last decisions, oldest first."""
        return list(self._decisions)

    @property
    def last(self) -> JobDecision | None:
        """The last decision; None before the first."""
        return self._decisions[-1] if self._decisions else None

    def note(self, job: FleetJob, nodes: Sequence[OpenNode], chosen: OpenNode) -> None:
        """Remember a decision, made with the queues as these nodes have them."""
        weighed = tuple(
            Weighed(node.node, node.model, node.backlog_s, energy.pragmatic, energy.epistemic)
            for node, energy in zip(nodes, self._weighing.energies(job, nodes), strict=True)
        )
        others = {
            name: nodes[shadow.choose(job, nodes)].node for name, shadow in self._shadows.items()
        }
        self._decisions.append(JobDecision(job.id, job.kind, chosen.node, weighed, others))
