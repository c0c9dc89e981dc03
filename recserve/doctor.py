"""``recserve doctor``: whether everything is here that an agent needs, and quick.

Checks the settings, the model and its engine, the broker and its round-trip time, and who is
alive in the tier above. Each check is a line; the first thing to do is in the line that failed.
"""

from __future__ import annotations

import asyncio
import os
import statistics
import sys
import time
from typing import TYPE_CHECKING, Literal, NamedTuple

import click
from rich.console import Console

from shared import log
from shared.errors import BusError, MalformedMessage, RecServeError, SettingsError
from shared.mqtt_bus import MqttBus
from shared.roster import Roster
from shared.runtimes import load_model
from shared.settings import AgentSettings, DeviceSettings, LogSettings
from shared.settings_file import load
from shared.status import decode_status
from shared.topics import Topics

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from shared.bus import Message
    from shared.settings import MqttSettings

_ROUND_TRIPS = 21
_NAGLE_MS = 35.0
_LISTEN_S = 1.0
_SAMPLE = "the new valve works well"


class Finding(NamedTuple):
    """One check: how it went, and what to know or do."""

    verdict: Literal["ok", "warning", "failed"]
    check: str
    detail: str


@click.command("doctor", help="Check settings, model, engine, broker and the agents above.")
@click.option(
    "--config",
    "-c",
    default="configs/device.yaml",
    show_default=True,
    help="YAML file of the agent to examine.",
)
@click.option("--set", "flags", multiple=True, metavar="KEY=VALUE", help="Overrides one setting.")
def command(config: str, flags: tuple[str, ...]) -> None:
    """Exit with 1 when a check failed."""
    log.configure(LogSettings(level="error"))
    console = Console()
    failed = asyncio.run(_examine(config, flags, console))
    sys.exit(1 if failed else 0)


async def _examine(config: str, flags: tuple[str, ...], console: Console) -> bool:
    failed = False
    async for finding in examine(config, flags):
        style = {"ok": "green", "warning": "yellow", "failed": "bold red"}[finding.verdict]
        console.print(
            f"[{style}]{finding.verdict:<8}[/] {finding.check:<10} {finding.detail}",
            highlight=False,
            soft_wrap=True,
        )
        failed |= finding.verdict == "failed"
    return failed


async def examine(config: str, flags: tuple[str, ...] = ()) -> AsyncIterator[Finding]:
    """Yield the findings one by one; later checks are left out when they cannot be made."""
    try:
        # A device's file has keys that others lack, and none that a device lacks.
        settings = load(DeviceSettings, config, environment=os.environ, flags=flags)
    except RecServeError as error:
        yield Finding("failed", "settings", str(error))
        return
    yield Finding("ok", "settings", f"{config}: {settings.agent}, tier {settings.tier.name}")
    yield _check_model(settings)
    async for finding in _check_broker(settings):
        yield finding


def _check_model(settings: AgentSettings) -> Finding:
    """Load the model, hashes and engine included, and time a short prompt."""
    try:
        model = load_model(settings.model)
    except RecServeError as error:
        return Finding("failed", "model", str(error))
    try:
        model.answer([_SAMPLE])
        times_ms = []
        for _ in range(_ROUND_TRIPS):
            started_s = time.perf_counter()
            model.answer([_SAMPLE])
            times_ms.append((time.perf_counter() - started_s) * 1000)
    finally:
        model.close()
    where = (
        ", ".join(settings.model.providers)
        if settings.model.runtime == "onnx"
        else settings.model.device
    )
    took_ms = statistics.median(times_ms)
    return Finding(
        "ok",
        "model",
        f"{model.name}: files whole, {settings.model.runtime} on {where}, "
        f"{took_ms:.2f} ms for a short prompt",
    )


async def _check_broker(settings: AgentSettings) -> AsyncIterator[Finding]:
    mqtt = settings.mqtt
    try:
        connect_ms = await _tcp_connect_ms(mqtt)
    except (OSError, asyncio.TimeoutError) as error:
        reason = getattr(error, "strerror", None) or str(error) or "no answer in time"
        yield Finding("failed", "broker", f"nobody at {mqtt.host}:{mqtt.port} ({reason})")
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
        if settings.tier.upstream:
            yield await _agents_above(bus, Topics(mqtt.root), settings.tier.upstream)
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
    detail = f"{mqtt.host}:{mqtt.port}, QoS 1 round trip {median_ms:.1f} ms (TCP {connect_ms:.1f})"
    if median_ms > 2 * connect_ms + _NAGLE_MS:
        advice = "Nagle's algorithm is on at the broker: set_tcp_nodelay true (Mosquitto)"
        return Finding("warning", "broker", f"{detail}; {advice}")
    return Finding("ok", "broker", detail)


async def _agents_above(bus: MqttBus, topics: Topics, tier: str) -> Finding:
    """Listen to the retained statuses of the tier above."""
    roster = Roster(tier)

    def hear(message: Message) -> None:
        bus.acknowledge(message)
        try:
            agent = topics.read_status(message.topic).agent
            roster.hear(agent, decode_status(message.payload), time.monotonic())
        except MalformedMessage:
            return

    await bus.subscribe(topics.status(tier, "+"), hear)
    await asyncio.sleep(_LISTEN_S)
    alive = roster.alive("classify", time.monotonic())
    if alive:
        return Finding("ok", "upstream", f"{tier}: {', '.join(sorted(alive))}")
    return Finding(
        "warning", "upstream", f"no {tier} agent is alive; prompts will be answered here, degraded"
    )
