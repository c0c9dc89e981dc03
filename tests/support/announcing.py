"""An announcer, and who hears it."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from shared.membership.announcer import Announcer
from shared.membership.status import Load, Status, decode_status
from tests.support.wires import Inbox, settled

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.support.wires import Wire


TOPIC = "recserve/v1/status/edge/edge-1"


def announcer(topic: str = TOPIC, *, heartbeat_s: float = 60.0) -> Announcer:
    return Announcer(
        topic,
        tasks=["classify"],
        model="m",
        heartbeat_s=heartbeat_s,
        load=lambda: Load(wait_ms=12.0, service_ms=3.0),
    )


async def stop(task: asyncio.Task[None]) -> None:
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)


class FrozenBus:
    """A bus whose broker acknowledges nothing and brings nothing."""

    published = reconnects = 0

    async def subscribe(self, *_: object) -> None:
        pass

    def watch(self, changed: Callable[[bool], None]) -> None:
        changed(True)

    async def publish(self, *_: object, **__: object) -> None:
        self.published += 1
        await asyncio.sleep(60)

    def reconnect(self, reason: str) -> None:
        assert "did not come back" in reason
        self.reconnects += 1


async def next_online(watcher: Inbox) -> Status:
    """The next status that says online, however many others come before."""
    while True:
        status = decode_status((await watcher.next()).payload)
        if status.state == "online":
            return status


async def watched(wire: Wire, topic: str) -> Inbox:
    watcher = await settled(wire.bus("watcher"))
    inbox = Inbox(watcher)
    await watcher.subscribe(topic, inbox.take)
    return inbox
