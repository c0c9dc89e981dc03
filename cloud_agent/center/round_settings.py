"""Settings of the rounds: which jobs are given out, by whom, and when models are placed."""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec
from msgspec import Meta

from cloud_agent.center.allocators import ActiveInference, AllocatorSettings, Dqn, Oracle
from cloud_agent.center.placement import PlacementSettings
from cloud_agent.center.preferences import PreferenceSettings, Weighted
from shared.errors import SettingsError
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
    deadline_s: Annotated[Seconds, Meta(description="time that a job has, whoever answers it")] = (
        15.0
    )
    patience_s: Annotated[
        Seconds, Meta(description="silence of a node after which another gets the job as well")
    ] = 5.0
    attempts: Annotated[Count, Meta(description="times that a job may fail")] = 4
    allocator: AllocatorSettings = ActiveInference()
    preference: PreferenceSettings = Weighted()
    placement: PlacementSettings = PlacementSettings()
    place: Annotated[
        bool, Meta(description="whether plans are carried out; else they are only shown")
    ] = True
    seed: Annotated[int, Meta(description="of whatever is drawn")] = 0
    prior_weight: Annotated[
        float, Meta(gt=0, le=1e6, description="answers that a grade of the catalogue counts as")
    ] = 6.0

    def __post_init__(self) -> None:
        """Refuse what only a simulation can have, and give the preference the jobs' time."""
        if isinstance(self.allocator, (Dqn, Oracle)):
            kind = self.allocator.__struct_config__.tag
            raise SettingsError(
                f"rounds.allocator is {kind}, which is for simulations; choose another kind"
            )
        if self.preference.limit_s != self.deadline_s:
            limited = msgspec.structs.replace(self.preference, limit_s=self.deadline_s)
            msgspec.structs.force_setattr(self, "preference", limited)
