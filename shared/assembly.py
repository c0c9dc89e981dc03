"""Joins the parts that every agent has: model, tier, bus, presence, metrics."""

from __future__ import annotations

import asyncio
import contextlib
import random
import signal
from dataclasses import dataclass
from typing import TYPE_CHECKING

from shared.batcher import Batcher
from shared.cascade import Tier
from shared.dispatch import Dispatcher
from shared.log import get_logger
from shared.metrics import Metrics
from shared.mqtt_bus import MqttBus
from shared.presence import Announcer, Load
from shared.runtimes import load_model
from shared.service import Service
from shared.station import Station
from shared.topics import Topics

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable

    from shared.bus import Bus, Will
    from shared.runtimes import Model
    from shared.settings import AgentSettings

    Connect = Callable[[AgentSettings, Will], Bus]

_log = get_logger()


@dataclass(frozen=True)
class Parts:
    """What an application is built on."""

    bus: Bus
    topics: Topics
    station: Station
    metrics: Metrics
    announcer: Announcer


def mqtt(settings: AgentSettings, will: Will) -> Bus:
    """Return the bus to the settings' broker."""
    return MqttBus(settings.mqtt, settings.agent, will=will)


def assemble(
    settings: AgentSettings,
    *,
    model: Model | None = None,
    connect: Connect = mqtt,
    metrics: Metrics | None = None,
) -> Parts:
    """Build an agent's parts; nothing runs yet. Virtual devices share one ``model``.

    Raises ``SettingsError``, ``BundleError`` or ``RuntimeUnavailable`` before anything starts.
    """
    model = model or load_model(settings.model)
    metrics = metrics or Metrics()
    metrics.serve(settings.metrics)
    topics = Topics(settings.mqtt.root)
    batcher = Batcher(
        model,
        batch_prompts=settings.model.batch_prompts,
        queue_prompts=settings.limits.queue_prompts,
    )
    announcer = Announcer(
        topics.status(settings.tier.name, settings.agent),
        tasks=model.tasks,
        model=model.name,
        heartbeat_s=settings.heartbeat_s,
        load=lambda: Load(batcher.wait_s * 1000, batcher.service_s * 1000),
    )
    bus = connect(settings, announcer.will())
    tier = settings.tier
    station = Station(
        settings.agent,
        Tier(tier.name, tier.policy, tier.above),
        batcher,
        metrics,
        prompt_bytes=settings.limits.prompt_bytes,
        dispatcher=_dispatcher(settings, bus, topics, metrics),
    )
    metrics.waiting.set_function(lambda: batcher.waiting)
    return Parts(bus, topics, station, metrics, announcer)


@contextlib.asynccontextmanager
async def running(parts: Parts, drain: Callable[[], Awaitable[object]]) -> AsyncIterator[None]:
    """Run model, bus and presence for as long as the context lasts.

    On leaving, the agent first says that it is gone, then ``drain`` finishes what is in hand, and
    only then the connection ends.
    """
    parts.station.batcher.start()
    await parts.bus.start()
    announcing = asyncio.create_task(parts.announcer.run(parts.bus), name="presence")
    try:
        yield
    finally:
        announcing.cancel()
        await asyncio.gather(announcing, return_exceptions=True)
        await drain()
        await parts.station.batcher.close()
        await parts.bus.close()
        parts.station.batcher.model.close()


async def serve(settings: AgentSettings) -> None:
    """Serve prompts from the bus until the process is asked to stop: an edge or cloud agent."""
    parts = assemble(settings)
    service = Service(
        parts.station,
        parts.bus,
        parts.topics,
        remember_prompts=settings.limits.remember_prompts,
        pool=settings.pool,
    )
    await service.start()
    async with running(parts, lambda: service.drain(settings.limits.drain_s)):
        _log.info(
            "agent started",
            agent=settings.agent,
            tier=settings.tier.name,
            model=parts.station.batcher.model.name,
            broker=f"{settings.mqtt.host}:{settings.mqtt.port}",
        )
        await until_stopped()


async def until_stopped() -> None:
    """Return when the process is asked to stop (SIGTERM or SIGINT)."""
    stopped = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stopped.set)
    await stopped.wait()
    _log.info("stopping")


def _dispatcher(
    settings: AgentSettings, bus: Bus, topics: Topics, metrics: Metrics
) -> Dispatcher | None:
    if not settings.tier.above:
        return None
    return Dispatcher(
        bus,
        topics,
        metrics,
        tier=settings.tier.name,
        above=settings.tier.above,
        pool=settings.upstream.pool,
        draw=random.Random(),  # noqa: S311 - spreads load, guards nothing
    )
