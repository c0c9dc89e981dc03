"""Waits until every agent of a site has said that it is there."""

from __future__ import annotations

import asyncio
import contextlib
from typing import TYPE_CHECKING

from shared.bus.mqtt.bus import MqttBus
from shared.errors import MalformedMessage, RecServeError
from shared.membership.status import decode_status
from shared.wire.topics import Topics

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from shared.bus import Message
    from shared.bus.mqtt.settings import MqttSettings

_READY_S = 60.0


class ChaosFailed(RecServeError):
    """The site itself did not come up: no word about the agents' promises."""


async def all_online(mqtt: MqttSettings, agents: Iterable[str], logs: Path) -> None:
    """Return when all ``agents`` are online. Raises ``ChaosFailed`` naming those that are not."""
    missing, there = set(agents), asyncio.Event()

    def hear(message: Message) -> None:
        bus.acknowledge(message)
        with contextlib.suppress(MalformedMessage):
            if decode_status(message.payload).state == "online":
                missing.discard(topics.read_status(message.topic).agent)
        if not missing:
            there.set()

    topics = Topics()
    bus = MqttBus(mqtt, "chaos-watch")
    await bus.subscribe(topics.status("+", "+"), hear)
    await bus.start()
    try:
        await asyncio.wait_for(there.wait(), _READY_S)
    except asyncio.TimeoutError:
        log = logs / f"{min(missing)}.log"
        raise ChaosFailed(f"not online: {', '.join(sorted(missing))}; see {log}") from None
    finally:
        await bus.close()
