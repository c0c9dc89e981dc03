"""Settings of a cloud agent: those of every agent, and what it may do for a site besides."""

from __future__ import annotations

from typing import Annotated

from msgspec import Meta

from cloud_agent.center.settings import CenterPart
from cloud_agent.training.settings import TrainerSettings
from shared.agent.settings import AgentSettings
from shared.bus.mqtt.settings import MqttSettings
from shared.errors import SettingsError


class CloudCenter(CenterPart, frozen=True, kw_only=True):
    """A centre inside a cloud agent; it has a connection of its own, and a name."""

    mqtt: Annotated[
        MqttSettings | None,
        Meta(description="its connection; none: to the agent's broker, if that asks for no names"),
    ] = None


class CloudSettings(AgentSettings, frozen=True, kw_only=True):
    """Everything a cloud agent needs to know."""

    center: Annotated[
        CloudCenter | None, Meta(description="the centre of a fleet, run by this agent")
    ] = None
    trainer: Annotated[
        TrainerSettings | None,
        Meta(description="what the agent trains for edges at night; none: nothing"),
    ] = None

    def __post_init__(self) -> None:
        """Hold a trainer to a folder, and the centre to a name and a login of its own."""
        super().__post_init__()
        if self.trainer is not None and not (self.trainer.folder or self.state):
            raise SettingsError(
                "trainer needs a folder that outlives the process: name one in trainer.folder, or "
                "state"
            )
        if self.center is None:
            return
        if self.center.name == self.agent:
            raise SettingsError(f"center.name is {self.agent!r}, as the agent; give it another")
        if self.center.mqtt is None and self.mqtt.username:
            raise SettingsError(
                "center.mqtt is missing: this broker knows names, and the centre needs one of its "
                "own (recserve provision --center)"
            )
