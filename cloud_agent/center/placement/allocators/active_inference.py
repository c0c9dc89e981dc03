"""Active inference: give the job to the node with the least expected free energy.

The expected free energy of giving a job to a node is how far its outcome is expected to fall short
of what is preferred (the *pragmatic* part), less what the answer is expected to teach about the
model and the node (the *epistemic* part), which is exact: the mutual information between the next
outcome and what is believed in, for a Beta and for a normal belief.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Annotated, NamedTuple

from msgspec import Meta

from cloud_agent.center.placement.allocators.expected import expect
from shared.settings.base import Closed

if TYPE_CHECKING:
    from collections.abc import Sequence

    from cloud_agent.center.placement.allocators.base import AllocatorContext
    from cloud_agent.center.placement.beliefs import Outlooks
    from cloud_agent.center.placement.jobs import FleetJob, JobOutcome, OpenNode


class ActiveInference(Closed, frozen=True, kw_only=True, tag_field="kind", tag="active-inference"):
    """The least expected free energy."""

    epistemic: Annotated[
        float, Meta(ge=0, le=1e3, description="what a nat of information is worth; 0: nothing")
    ] = 0.15
    precision: Annotated[
        float,
        Meta(ge=0, le=1e6, description="how strictly the best node is taken; 0 takes it always"),
    ] = 0.0


class FreeEnergy(NamedTuple):
    """The expected free energy of one choice, and the two parts that make it up."""

    pragmatic: float
    epistemic: float

    @property
    def total(self) -> float:
        """The expected free energy: less is better."""
        return -self.pragmatic - self.epistemic


class ActiveInferenceAllocator:
    """Weighs what each node would bring against what its answer would teach."""

    def __init__(self, settings: ActiveInference, context: AllocatorContext) -> None:
        self.outlooks: Outlooks = context.beliefs
        self._settings = settings
        self._preference = context.preference
        self._draw = context.draw

    def choose(self, job: FleetJob, candidates: Sequence[OpenNode]) -> int:
        """Return the node of the least expected free energy, or draw one by its probabilities."""
        energies = [energy.total for energy in self.energies(job, candidates)]
        if not self._settings.precision:
            return energies.index(min(energies))
        weights = policy(energies, self._settings.precision)
        return self._draw.choices(range(len(weights)), weights)[0]

    def energies(self, job: FleetJob, candidates: Sequence[OpenNode]) -> list[FreeEnergy]:
        """Return the expected free energy of giving the job to each node."""
        expected = (
            expect(job.kind, candidate, self.outlooks, self._preference) for candidate in candidates
        )
        return [FreeEnergy(worth, self._settings.epistemic * nats) for worth, nats in expected]

    def learn(self, outcome: JobOutcome) -> None:
        """Do nothing: the beliefs are the centre's."""


def policy(energies: Sequence[float], precision: float) -> list[float]:
    """Return softmax(−γ G): how likely each choice is taken."""
    least = min(energies)
    weights = [math.exp(-min(precision * (energy - least), 700.0)) for energy in energies]
    total = math.fsum(weights)
    return [weight / total for weight in weights]
