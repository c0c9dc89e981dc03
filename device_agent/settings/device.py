"""Settings of a device agent."""

from __future__ import annotations

from typing import Annotated

import msgspec
from msgspec import Meta

from device_agent.settings.circles import check_circles
from device_agent.settings.sources import STANDARD_INPUT, LinesSource, Source
from shared.agent.settings import AgentSettings
from shared.errors import SettingsError
from shared.settings.base import Closed, Count, Megabytes
from shared.wire.topics import Topics, check_name


class OutboxSettings(Closed, frozen=True, kw_only=True):
    """Bounds on the prompts that wait for an answer from above; beyond them we answer ourselves."""

    prompts: Annotated[Count, Meta(description="prompts accepted and not answered, at most")] = (
        10_000
    )
    megabytes: Annotated[Megabytes, Meta(description="size of the file, at most")] = 64


class DeviceSettings(AgentSettings, frozen=True, kw_only=True):
    """Everything a device agent needs to know."""

    sources: Annotated[
        dict[str, Source], Meta(description="streams of prompts, by name; see docs/streams.md")
    ] = msgspec.field(default_factory=dict)
    outbox: OutboxSettings = OutboxSettings()
    in_flight: Annotated[Count, Meta(description="prompts judged at a time, at most")] = 1_000

    def __post_init__(self) -> None:
        """Hold the sources' names to what a file can be called, and what they read apart."""
        super().__post_init__()
        for name in self.sources:
            check_name(name, "sources")
        topics = Topics(self.mqtt.root)
        check_circles(self.sources, ask=topics.ask(self.agent), answers=topics.answers(self.agent))
        paths = [source.path for source in self.sources.values() if isinstance(source, LinesSource)]
        if paths.count(STANDARD_INPUT) > 1:
            raise SettingsError("two sources read standard input; there is only one")
