"""Joins the parts that every agent has: model, tier, bus, presence, metrics."""

from __future__ import annotations

import asyncio
import contextlib
import os
import random
import signal
from dataclasses import dataclass
from typing import TYPE_CHECKING

import msgspec

from shared.admission import Admission
from shared.batcher import Batcher
from shared.cascade import Tier
from shared.dead_letters import DeadLetters
from shared.dispatch import Dispatcher
from shared.log import get_logger
from shared.metrics import Metrics
from shared.mqtt_bus import MqttBus
from shared.presence import Announcer, Load
from shared.rates import RateLimits
from shared.result_store import ResultStore
from shared.runtimes import load_model
from shared.service import Service
from shared.state import state_folder
from shared.station import Station
from shared.topics import Topics

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable
    from pathlib import Path

    from shared.bus import Bus, Will
    from shared.runtimes import Model
    from shared.settings import AgentSettings

    Connect = Callable[[AgentSettings, Will | None], Bus]

_log = get_logger()
_LAST_WORDS_S = 1.0
HUNG = 4
"""Exit status of an agent whose model hangs: whoever watches over it starts it again."""


@dataclass
class Parts:
    """What an application is built on.

    ``upper_bus`` leads to the tiers above: ``bus`` itself, or a connection to a broker of theirs.
    ``own_model`` is a model to be closed at the end. ``presence`` is the task that keeps our status
    true while the agent runs; it ends by itself only with ``Fenced``.
    """

    bus: Bus
    upper_bus: Bus
    topics: Topics
    station: Station
    metrics: Metrics
    announcer: Announcer
    own_model: Model | None
    presence: asyncio.Task[None] | None = None

    @property
    def buses(self) -> tuple[Bus, ...]:
        """Every connection of the agent."""
        return (self.bus,) if self.upper_bus is self.bus else (self.bus, self.upper_bus)


def mqtt(settings: AgentSettings, will: Will | None) -> Bus:
    """Return the bus to the settings' broker."""
    return MqttBus(settings.mqtt, settings.agent, will=will)


def assemble(
    settings: AgentSettings,
    *,
    model: Model | None = None,
    connect: Connect = mqtt,
    metrics: Metrics | None = None,
) -> Parts:
    """Build an agent's parts; nothing runs yet. Virtual devices share one ``model``, left open.

    Raises ``SettingsError``, ``BundleError`` or ``RuntimeUnavailable`` before anything starts.
    """
    own_model = load_model(settings.model) if model is None else None
    model = model or own_model
    assert model is not None  # noqa: S101 - one of the two
    metrics = metrics or Metrics()
    topics = Topics(settings.mqtt.root)
    batcher = Batcher(
        model,
        batch_prompts=settings.model.batch_prompts,
        queue_prompts=settings.limits.queue_prompts,
        limit_s=settings.limits.model_s,
        metrics=metrics,
    )
    announcer = Announcer(
        topics.status(settings.tier.name, settings.agent),
        tasks=model.tasks,
        model=model.name,
        heartbeat_s=settings.heartbeat_s,
        load=lambda: Load(batcher.wait_s * 1000, batcher.service_s * 1000),
    )
    bus = connect(settings, announcer.will())
    above = settings.upstream.mqtt
    upper_bus = bus
    if above is not None:
        upper_bus = connect(msgspec.structs.replace(settings, mqtt=above), None)
    tier = settings.tier
    station = Station(
        settings.agent,
        Tier(tier.name, tier.policy, tier.above),
        batcher,
        metrics,
        prompt_bytes=settings.limits.prompt_bytes,
        dispatcher=_dispatcher(settings, upper_bus, metrics),
    )
    metrics.waiting.set_function(lambda: batcher.waiting)
    metrics.serve(settings.metrics)
    return Parts(bus, upper_bus, topics, station, metrics, announcer, own_model)


@contextlib.asynccontextmanager
async def running(parts: Parts, drain: Callable[[], Awaitable[object]]) -> AsyncIterator[None]:
    """Run model, bus and presence for as long as the context lasts.

    On leaving, the agent first says that it is gone, then ``drain`` finishes what is in hand, what
    still waits for the model is turned away and told, and only then the connection ends.
    """
    async with contextlib.AsyncExitStack() as leaving:
        if parts.own_model is not None:
            leaving.callback(parts.own_model.close)
        leaving.callback(parts.metrics.close)
        for bus in parts.buses:
            leaving.push_async_callback(bus.close)
        leaving.push_async_callback(_last_words, drain)
        leaving.push_async_callback(parts.station.batcher.close)
        leaving.push_async_callback(drain)
        parts.station.batcher.start()
        for bus in parts.buses:
            await bus.start()
        presence = asyncio.create_task(parts.announcer.run(parts.bus), name="presence")
        presence.add_done_callback(_note_end)
        leaving.push_async_callback(_cancel, presence)
        parts.presence = presence
        yield


@contextlib.asynccontextmanager
async def serving(
    settings: AgentSettings,
    *,
    model: Model | None = None,
    connect: Connect = mqtt,
    metrics: Metrics | None = None,
) -> AsyncIterator[Parts]:
    """Serve prompts from the bus for as long as the context lasts: an edge or cloud agent.

    Raises what ``assemble`` raises.
    """
    async with contextlib.AsyncExitStack() as closing:
        folder = closing.enter_context(state_folder(settings))
        results = open_results(settings, folder)
        closing.push_async_callback(results.close)
        parts = assemble(settings, model=model, connect=connect, metrics=metrics)
        service = make_service(settings, parts, results)
        await service.start()
        async with running(parts, lambda: service.drain(settings.limits.drain_s)):
            yield parts


def open_results(settings: AgentSettings, folder: Path | None = None) -> ResultStore:
    """Open an agent's memory of results, in a folder or in memory only.

    Raises ``SettingsError``.
    """
    limits = settings.limits
    limit_bytes = limits.results_megabytes << 20
    return ResultStore.open(
        folder, settings.agent, limit_bytes=limit_bytes, keep_s=limits.results_s
    )


def make_service(settings: AgentSettings, parts: Parts, results: ResultStore) -> Service:
    """Return what serves prompts with an agent's parts; it is not started."""
    limits = settings.limits
    limit_bytes = limits.results_megabytes << 20
    rates = RateLimits(limits.device_prompts_s, limits.device_burst)
    return Service(
        parts.station,
        parts.bus,
        parts.topics,
        Admission(
            rates,
            attempts=limits.attempts,
            limit_bytes=limit_bytes,
            relays=parts.upper_bus is not parts.bus,
        ),
        results,
        DeadLetters(results.journal),
        pool=settings.pool,
        upper_bus=parts.upper_bus,
    )


async def serve(settings: AgentSettings) -> None:
    """Serve prompts from the bus until the process is asked to stop."""
    async with serving(settings) as parts:
        _log.info(
            "agent started",
            agent=settings.agent,
            tier=settings.tier.name,
            model=parts.station.batcher.model.name,
            broker=f"{settings.mqtt.host}:{settings.mqtt.port}",
        )
        await until_stopped(parts)


async def until_stopped(parts: Parts) -> None:
    """Return when the process is asked to stop.

    Raises ``Fenced`` when a newer process has taken the agent's name. When the model hangs, the
    process ends at once, as if killed: what it has in hand is on the disk, or with its origin.
    """
    assert parts.presence is not None, "the agent runs"  # noqa: S101
    asked = asyncio.ensure_future(until_asked_to_stop())
    hung = asyncio.ensure_future(parts.station.batcher.hung.wait())
    await asyncio.wait({asked, hung, parts.presence}, return_when=asyncio.FIRST_COMPLETED)
    asked.cancel()
    if hung.done():
        _log.critical("the model hangs", model=parts.station.batcher.model.name)
        os._exit(HUNG)
    hung.cancel()
    if parts.presence.done():
        parts.presence.result()
    _log.info("stopping")


async def until_asked_to_stop() -> None:
    """Return on SIGTERM or SIGINT."""
    stopped = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stopped.set)
    await stopped.wait()


def _dispatcher(settings: AgentSettings, bus: Bus, metrics: Metrics) -> Dispatcher | None:
    if not settings.tier.above:
        return None
    above = settings.upstream.mqtt
    return Dispatcher(
        bus,
        Topics((above or settings.mqtt).root),
        metrics,
        tier=settings.tier.name,
        above=settings.tier.above,
        pool=settings.upstream.pool,
        origin=settings.agent if above is not None else "",
        draw=random.Random(),  # noqa: S311 - spreads load, guards nothing
    )


async def _cancel(task: asyncio.Task[None]) -> None:
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)


def _note_end(presence: asyncio.Task[None]) -> None:
    if not presence.cancelled() and (error := presence.exception()) is not None:
        _log.error("presence ended", reason=str(error))


async def _last_words(drain: Callable[[], Awaitable[object]]) -> None:
    with contextlib.suppress(asyncio.TimeoutError):
        await asyncio.wait_for(drain(), _LAST_WORDS_S)
