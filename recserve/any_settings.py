"""Settings of whatever agent it is, for commands that take any agent's file."""

from __future__ import annotations

from typing import Annotated

from msgspec import Meta

from cloud_agent.settings import CloudCenter
from cloud_agent.training.settings import TrainerSettings
from device_agent.settings import DeviceSettings
from edge_agent.memory.settings import MemorySettings


class AnySettings(DeviceSettings, frozen=True, kw_only=True):
    """Every key that an agent of some tier has."""

    memory: Annotated[
        MemorySettings | None, Meta(description="what an edge agent remembers; none: nothing")
    ] = None
    center: Annotated[
        CloudCenter | None, Meta(description="the centre of a fleet, run by a cloud agent")
    ] = None
    trainer: Annotated[
        TrainerSettings | None,
        Meta(description="what a cloud agent trains for edges at night; none: nothing"),
    ] = None
