"""Where a replay takes place: agents that it starts for itself, or a broker where some run."""

from __future__ import annotations

import contextlib
import os
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import msgspec

from device_agent.settings import DeviceSettings
from experiments.replay.run_file import make_folder
from experiments.replay.sampler import ScrapeTarget
from experiments.testbed.processes import (
    Agent,
    UpSettings,
    on_free_ports,
    read_agents,
    running,
    upward,
)
from experiments.testbed.scrape import page_of
from shared.errors import SettingsError
from shared.settings.file import load

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Sequence

    from experiments.replay.settings import ReplaySettings
    from shared.bus.mqtt.settings import MqttSettings

UP = Path(__file__).parents[2] / "configs" / "up.yaml"


class Environment(NamedTuple):
    """Where to connect, what virtual devices are like, whom to watch, and the tiers we know of."""

    mqtt: MqttSettings
    template: DeviceSettings | None
    seats: tuple[ScrapeTarget, ...]
    tiers: tuple[str, ...]


@contextlib.asynccontextmanager
async def open_place(settings: ReplaySettings, folder: Path) -> AsyncIterator[Environment]:
    """Start what has to run and yield it ready.

    Raises ``SettingsError``, or ``ProcessFailed`` when an agent does not come up.
    """
    if settings.mqtt is not None:
        yield _running_place(settings, settings.mqtt)
        return
    up = on_free_ports(load(UpSettings, settings.agents or UP), folder / "broker")
    agents = read_agents(up, overrides={"log.format": "json", "log.level": "warning"})
    template = _template(settings, agents)
    if not settings.fleet.ask:
        agents = [agent for agent in agents if agent.role != "device"]
    elif missing := set(settings.fleet.ask) - {agent.settings.agent for agent in agents}:
        raise SettingsError(
            f"fleet.ask: {', '.join(sorted(missing))} is not in {settings.agents or UP}"
        )
    seats = tuple(seat_of(agent) for agent in agents)
    make_folder(folder / "logs")
    async with running(up.broker, agents, folder / "logs"):
        mqtt = agents[0].settings.mqtt
        yield Environment(mqtt, template, seats, _tiers(template, agents))


def _running_place(settings: ReplaySettings, mqtt: MqttSettings) -> Environment:
    template = None
    tiers: tuple[str, ...] = ()
    if not settings.fleet.ask:
        template = load(DeviceSettings, settings.fleet.config, environment=os.environ)
        template = msgspec.structs.replace(template, mqtt=mqtt)
        tiers = (template.tier.name, *template.tier.above)
    return Environment(mqtt, template, (), tiers)


def _template(settings: ReplaySettings, agents: Sequence[Agent]) -> DeviceSettings | None:
    """Return the settings that every virtual device has; None where running ones are asked."""
    if settings.fleet.ask:
        return None
    if settings.fleet.config:
        own = load(DeviceSettings, settings.fleet.config, environment=os.environ)
        return msgspec.structs.replace(own, mqtt=agents[0].settings.mqtt)
    for agent in agents:
        if isinstance(agent.settings, DeviceSettings):
            return agent.settings
    raise SettingsError(
        f"{settings.agents} lists no device to take the settings of virtual ones from; "
        "name fleet.config"
    )


def seat_of(agent: Agent) -> ScrapeTarget:
    """Return where to look at an agent of this machine."""
    port = agent.settings.metrics.port
    return ScrapeTarget(agent.settings.agent, agent.settings.tier.name, page_of(port))


def _tiers(template: DeviceSettings | None, agents: Sequence[Agent]) -> tuple[str, ...]:
    """Return the tiers from the device up, as far as their settings lead."""
    known = [agent.settings.tier for agent in agents]
    return upward(known if template is None else [*known, template.tier])
