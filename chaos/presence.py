"""Waits until every agent of a site has said that it is there."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from shared.bus.mqtt.bus import MqttBus
from shared.errors import RecServeError
from shared.membership.watcher import StatusWatcher
from shared.wire.topics import Topics

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from shared.bus.mqtt.settings import MqttSettings
    from shared.membership.watcher import HeardStatus

_READY_S = 180.0


class ChaosFailed(RecServeError):
    """The site itself did not come up: no word about the agents' promises."""


async def all_online(mqtt: MqttSettings, agents: Iterable[str], logs: Path) -> None:
    """Return when all ``agents`` are online. Raises ``ChaosFailed`` naming those that are not."""
    missing, there = set(agents), asyncio.Event()

    def hear(heard: HeardStatus) -> None:
        if heard.status is not None and heard.status.state == "online":
            missing.discard(heard.address.agent)
        if not missing:
            there.set()

    bus = MqttBus(mqtt, "chaos-watch")
    await StatusWatcher(bus, Topics(), hear).watch()
    await bus.start()
    try:
        await asyncio.wait_for(there.wait(), _READY_S)
    except asyncio.TimeoutError:
        log = logs / f"{min(missing)}.log"
        raise ChaosFailed(f"not online: {', '.join(sorted(missing))}; see {log}") from None
    finally:
        await bus.close()
