"""What ``recserve doctor`` finds out with a connection to the broker."""

from __future__ import annotations

import asyncio
import contextlib
import os
import statistics
import time
from typing import TYPE_CHECKING, Literal, NamedTuple

from device_agent.settings.sources import MqttSource
from shared.bus.mqtt.bus import MqttBus
from shared.errors import BusError, SettingsError
from shared.membership.roster import Roster
from shared.membership.status import name_labels
from shared.membership.watcher import StatusWatcher
from shared.wire.topics import Topics

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Collection

    from device_agent.settings import DeviceSettings
    from shared.bus import Message
    from shared.bus.mqtt.settings import MqttSettings
    from shared.errors import Refused
    from shared.membership.watcher import HeardStatus
    from shared.runtimes.abilities import Abilities

_ROUND_TRIPS = 21
_NAGLE_MS = 35.0
_LISTEN_S = 1.0


class Finding(NamedTuple):
    """One check: how it went, and what to know or do."""

    verdict: Literal["ok", "warning", "failed"]
    check: str
    detail: str


async def check_broker(
    settings: DeviceSettings, served: Abilities | None
) -> AsyncIterator[Finding]:
    """Yield what is found of the broker, of the agents above, and of what sources may read.

    ``served`` is what our model can be asked, None where it could not be loaded.
    """
    mqtt = settings.mqtt
    try:
        connect_ms = await _tcp_connect_ms(mqtt)
    except (OSError, asyncio.TimeoutError) as error:
        reason = getattr(error, "strerror", None) or str(error) or "no answer in time"
        yield Finding("failed", "broker", f"nobody at {mqtt.brokers[0]} ({reason})")
        return
    try:
        bus = MqttBus(mqtt, mqtt.username or f"recserve-doctor-{os.getpid()}")
    except SettingsError as error:
        yield Finding("failed", "broker", str(error))
        return
    await bus.start()
    try:
        await bus.wait_connected(mqtt.connect_timeout_s)
        yield await _round_trip(bus, mqtt, connect_ms)
        if settings.tier.upstream and settings.upstream.mqtt is None:
            yield await _agents_above(bus, settings, served)
        for finding in await _sources(bus, settings):
            yield finding
    except (BusError, SettingsError) as error:
        yield Finding("failed", "broker", str(error))
    except asyncio.TimeoutError:
        echo = Topics(mqtt.root).answers(bus.client_id)
        yield Finding("failed", "broker", f"no echo on {echo}; may this name read and write it?")
    finally:
        await bus.close()


async def _tcp_connect_ms(mqtt: MqttSettings) -> float:
    """Return how long a TCP handshake takes: one round trip of the bare network."""
    started_s = time.perf_counter()
    opening = asyncio.open_connection(mqtt.host, mqtt.port)
    _, writer = await asyncio.wait_for(opening, mqtt.connect_timeout_s)
    connect_ms = (time.perf_counter() - started_s) * 1000
    writer.close()
    return connect_ms


async def _round_trip(bus: MqttBus, mqtt: MqttSettings, connect_ms: float) -> Finding:
    """Time QoS 1 messages to ourselves, and say whether Nagle's algorithm slows them down."""
    topic = Topics(mqtt.root).answers(bus.client_id)
    echoes: asyncio.Queue[Message] = asyncio.Queue()
    await bus.subscribe(topic, echoes.put_nowait)
    times_ms = []
    for _ in range(_ROUND_TRIPS):
        started_s = time.perf_counter()
        await bus.publish(topic, b"x" * 100)
        bus.acknowledge(await asyncio.wait_for(echoes.get(), mqtt.connect_timeout_s))
        times_ms.append((time.perf_counter() - started_s) * 1000)
    median_ms = statistics.median(times_ms)
    where = mqtt.brokers[0]
    detail = f"{where}, QoS 1 round trip {median_ms:.1f} ms (TCP {connect_ms:.1f})"
    if median_ms > 2 * connect_ms + _NAGLE_MS:
        advice = "Nagle's algorithm is on at the broker: set_tcp_nodelay true (Mosquitto)"
        return Finding("warning", "broker", f"{detail}; {advice}")
    return Finding("ok", "broker", detail)


async def _agents_above(
    bus: MqttBus, settings: DeviceSettings, served: Abilities | None
) -> Finding:
    """Listen to the statuses of the tier above until somebody is heard, or for a heartbeat.

    Some brokers bring nothing retained to a filter with wildcards.
    """
    tier, topics = settings.tier.upstream or "", Topics(settings.mqtt.root)
    roster, heard = Roster(tier), asyncio.Event()
    if served is not None:
        roster = Roster(tier, name_labels(served.labels), served.tasks)

    def alive() -> set[str]:
        now_s = time.monotonic()
        return {agent for task in roster.tasks for agent in roster.alive(task, now_s)}

    def hear(heard_status: HeardStatus) -> None:
        if heard_status.status is not None:
            roster.hear(heard_status.address.agent, heard_status.status, time.monotonic())
        if alive():
            heard.set()

    await StatusWatcher(bus, topics, hear).watch(tier)
    with contextlib.suppress(asyncio.TimeoutError):
        await asyncio.wait_for(heard.wait(), settings.heartbeat_s + _LISTEN_S)
        await asyncio.sleep(_LISTEN_S)  # for the others
    return _found_above(tier, alive(), roster.misfits(time.monotonic()))


def _found_above(tier: str, alive: Collection[str], misfits: Collection[str]) -> Finding:
    if misfits:
        return Finding(
            "warning" if alive else "failed",
            "upstream",
            f"{tier}: {', '.join(sorted(misfits))} will not be asked, for its model has other "
            "labels than ours; give both tiers models with the same labels",
        )
    if alive:
        return Finding("ok", "upstream", f"{tier}: {', '.join(sorted(alive))}")
    return Finding(
        "warning", "upstream", f"no {tier} agent is alive; prompts will be answered here, degraded"
    )


async def _sources(bus: MqttBus, settings: DeviceSettings) -> list[Finding]:
    """Subscribe to what the sources read, where we have the rights of the agent itself."""
    if settings.mqtt.username not in ("", settings.agent):
        return []
    findings = []
    for name, source in settings.sources.items():
        if not isinstance(source, MqttSource):
            continue
        refusals: list[Refused] = []
        await bus.subscribe(source.topics, bus.acknowledge, refused=refusals.append)
        if refusals:
            said = f"sources.{name}: {refusals[0]}; see --reads of recserve provision"
            findings.append(Finding("failed", "source", said))
        else:
            findings.append(Finding("ok", "source", f"{name}: {source.topics}"))
    return findings
