"""Settings of the rounds: which jobs are given out, by whom, and when models are placed."""

from __future__ import annotations

from typing import Annotated, Literal

from msgspec import Meta

from cloud_agent.center.placement.allocators import ActiveInference, FleetAllocator
from cloud_agent.center.placement.planner import PlacementSettings
from cloud_agent.center.placement.preferences import PreferenceSettings, Weighted
from shared.settings.base import Closed, Count, Seconds


class RoundSettings(Closed, frozen=True, kw_only=True):
    """Rounds of jobs, and a placement of models every so many of them."""

    jobs: Annotated[str, Meta(min_length=1, description="file of jobs: JSON, one a line")]
    catalogue: Annotated[
        str, Meta(min_length=1, description="file that `recserve models measure` wrote")
    ]
    node_class: Annotated[
        str,
        Meta(description="class of node in it that models are compared on; empty: its first"),
    ] = ""
    mode: Annotated[
        Literal["streaming", "barrier"],
        Meta(description="a new round every every_s, or when the one before has ended"),
    ] = "streaming"
    every_s: Annotated[Seconds, Meta(description="time between rounds")] = 4.0
    batch: Annotated[Count, Meta(description="jobs of a round")] = 6
    rounds: Annotated[int, Meta(ge=0, description="rounds to give out; 0: without end")] = 0
    task_rounds_per_placement: Annotated[
        Count, Meta(description="rounds of jobs between two placements of models")
    ] = 20
    patience_s: Annotated[
        Seconds, Meta(description="silence of a node after which another gets the job as well")
    ] = 5.0
    attempts: Annotated[Count, Meta(description="times that a job may fail")] = 4
    allocator: Annotated[FleetAllocator, Meta(description="who chooses the node of a job")] = (
        ActiveInference()
    )
    preference: Annotated[
        PreferenceSettings,
        Meta(description="what is wanted of an answer, and how long it may take"),
    ] = Weighted()
    placement: PlacementSettings = PlacementSettings()
    place: Annotated[
        bool, Meta(description="whether plans are carried out; else they are only shown")
    ] = True
    seed: Annotated[int, Meta(description="of whatever is drawn")] = 0
    prior_weight: Annotated[
        float, Meta(gt=0, le=1e6, description="answers that a grade of the catalogue counts as")
    ] = 6.0

    @property
    def round_s(self) -> float:
        """The time that the jobs of a round come in: those behind a barrier have all of theirs."""
        return self.every_s if self.mode == "streaming" else self.deadline_s

    @property
    def deadline_s(self) -> float:
        """The time that a job has: as long as its answer is worth anything."""
        return self.preference.limit_s
