"""Settings of an edge agent: those of every agent, and the memory that it may have."""

from __future__ import annotations

from typing import Annotated

from msgspec import Meta

from edge_agent.memory.settings import MemorySettings
from shared.agent.settings import AgentSettings
from shared.cascade.policies import adapts
from shared.errors import SettingsError


class EdgeSettings(AgentSettings, frozen=True, kw_only=True):
    """Everything an edge agent needs to know."""

    memory: Annotated[
        MemorySettings | None, Meta(description="what the agent remembers; none: nothing")
    ] = None

    def __post_init__(self) -> None:
        """Hold a memory to an embedder."""
        super().__post_init__()
        if self.memory is not None and not self.memory.embedder:
            raise SettingsError(
                "memory.embedder is missing: a memory finds questions by their vectors; make a "
                "bundle (recserve pack --task embed) and name its folder"
            )
        if self.memory is not None and self.memory.share and self.memory.owners == "apart":
            raise SettingsError(
                "memory.share offers entries to other edges, and memory.owners keeps them for each "
                "device apart; remove one of the two"
            )
        if self.memory is not None and self.memory.night is not None:
            self._check_night(self.memory)

    def _check_night(self, memory: MemorySettings) -> None:
        """Hold nights to a place for them, and a policy that does without a bundle's head."""
        if not (memory.folder or self.state):
            raise SettingsError(
                "memory.night needs a folder that outlives the process: name one in state"
            )
        if adapts(self.tier.policy):
            raise SettingsError(
                "tier.policy.learn adapts the forecasts of a bundle's head, and a model that "
                "learned at night has none; remove it, or memory.night"
            )
