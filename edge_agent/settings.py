"""Settings of an edge agent: those of every agent, and the memory that it may have."""

from __future__ import annotations

from typing import Annotated

from msgspec import Meta

from edge_agent.memory.settings import MemorySettings
from shared.agent.settings import AgentSettings
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
