"""The bound: whoever knows how good every model and how fast every node really is.

Only a simulator does.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from cloud_agent.center.placement.allocators.expected import best
from shared.errors import SettingsError
from shared.settings.base import Closed

if TYPE_CHECKING:
    from collections.abc import Sequence

    from cloud_agent.center.placement.allocators.base import AllocatorContext
    from cloud_agent.center.placement.beliefs import Outlooks
    from cloud_agent.center.placement.jobs import FleetJob, JobOutcome, OpenNode


class Oracle(Closed, frozen=True, kw_only=True, tag_field="kind", tag="oracle"):
    """The best by what is true; for simulations."""


class OracleAllocator:
    """Takes what is worth most by the truth."""

    def __init__(self, settings: Oracle, context: AllocatorContext) -> None:
        del settings
        if context.truth is None:
            raise SettingsError("the oracle is for simulations: nobody knows the truth elsewhere")
        self.outlooks: Outlooks = context.truth
        self._preference = context.preference

    def choose(self, job: FleetJob, candidates: Sequence[OpenNode]) -> int:
        """Return the node where the job is worth most."""
        return best(job, candidates, self.outlooks, self._preference)

    def learn(self, outcome: JobOutcome) -> None:
        """Do nothing: nothing is news to it."""
