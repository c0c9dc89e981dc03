"""LinUCB (Li et al., 2010): a linear model of what a job is worth, and a bonus for what is unsure.

One ridge regression for all nodes, so that nodes may come and go: its input says which model is
asked for which kind of job, how late the answer will be by the centre's beliefs, and, for each
model, what the text looks like. What a text says the same of every model cannot change a choice.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Annotated, Final

import numpy as np
from msgspec import Meta

from cloud_agent.center.placement.allocators.expected import largest
from cloud_agent.center.placement.features import RunningScale, TextFeatures
from shared.settings.base import Closed

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from cloud_agent.center.placement.allocators.base import AllocatorContext
    from cloud_agent.center.placement.beliefs import Outlooks
    from cloud_agent.center.placement.jobs import FleetJob, JobOutcome, OpenNode

    Floats = NDArray[np.float64]

_FEATURES: Final = len(TextFeatures._fields)
_PENDING: Final = 10_000


class LinUcb(Closed, frozen=True, kw_only=True, tag_field="kind", tag="linucb"):
    """The best by a linear model, with a bonus for what it is unsure of."""

    bonus: Annotated[
        float, Meta(ge=0, le=1e3, description="deviations added to what a choice is worth")
    ] = 0.6
    ridge: Annotated[float, Meta(gt=0, le=1e6, description="weight of the prior")] = 1.0
    features: Annotated[bool, Meta(description="whether it looks at the text of a job")] = False


class LinUcbAllocator:
    """Learns from the worth of what it chose."""

    def __init__(self, settings: LinUcb, context: AllocatorContext) -> None:
        self.outlooks: Outlooks = context.beliefs
        self._settings = settings
        self._preference = context.preference
        self._kinds = {kind: i for i, kind in enumerate(context.catalogue.kinds)}
        self._models = {card.name: i for i, card in enumerate(context.catalogue)}
        self._pairs = len(self._kinds) * len(self._models)
        width = self._pairs + 2 + settings.features * _FEATURES * len(self._models)
        self._inverse = np.eye(width) / settings.ridge
        self._moments = np.zeros(width)
        self._scale = RunningScale(_FEATURES)
        self._pending: dict[str, Floats] = {}

    def choose(self, job: FleetJob, candidates: Sequence[OpenNode]) -> int:
        """Return the node of the largest upper bound."""
        looks = self._settings.features and job.features
        text = self._scale.standardise(job.features) if looks else (0.0,) * _FEATURES
        seen = np.array([self._see(job.kind, text, candidate) for candidate in candidates])
        weights = self._inverse @ self._moments
        unsure = np.sqrt(np.einsum("ij,jk,ik->i", seen, self._inverse, seen))
        chosen = largest((seen @ weights + self._settings.bonus * unsure).tolist())
        self._pending[job.id] = seen[chosen]
        if len(self._pending) > _PENDING:  # jobs that nobody ever answered
            del self._pending[next(iter(self._pending))]
        return chosen

    def learn(self, outcome: JobOutcome) -> None:
        """Take in what a choice was worth (Sherman and Morrison, 1950)."""
        seen = self._pending.pop(outcome.job, None)
        if seen is None or outcome.grade is None:
            return
        turned = self._inverse @ seen
        self._inverse -= np.outer(turned, turned) / (1.0 + seen @ turned)
        self._moments += self._preference.of(outcome.grade, outcome.latency_s) * seen

    def _see(self, kind: str, text: Sequence[float], candidate: OpenNode) -> Floats:
        """Return the input of one choice: the pair of model and kind, the delay, the text."""
        model = self._models[candidate.model]
        outlook = self.outlooks.outlook(candidate.node, candidate.model, kind)
        delay = candidate.rtt_s + candidate.backlog_s + outlook.service_s
        delay /= self._preference.limit_s
        seen = np.zeros(len(self._moments))
        seen[model * len(self._kinds) + self._kinds[kind]] = 1.0
        seen[self._pairs] = min(delay, 1.0)
        seen[self._pairs + 1] = 1.0 / (1.0 + math.exp(-10.0 * (delay - 1.0)))
        if self._settings.features:
            at = self._pairs + 2 + model * _FEATURES
            seen[at : at + _FEATURES] = text
        return seen
