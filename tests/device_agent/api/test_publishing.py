"""Publishing what somebody waits for: until the broker has it, and no longer than makes sense."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import pytest

from device_agent.api import publishing
from device_agent.api.publishing import publish_until_taken
from shared.bus.memory import MemoryBroker, MemoryBus
from shared.bus.mqtt.packet_limit import LARGE_BYTES
from shared.errors import LostAtOnce, NotConnected, NotNow, Refused, TooLarge

if TYPE_CHECKING:
    from shared.bus import Published


class Moody(MemoryBus):
    """Says what it is told to, and then what it should."""

    def __init__(self, *moods: Exception) -> None:
        super().__init__(MemoryBroker(), "moody", None)
        self.moods = list(moods)
        self.published = 0

    async def publish(self, topic: str, payload: bytes, **how: Any) -> Published:
        self.published += 1
        if self.moods:
            raise self.moods.pop(0)
        return await super().publish(topic, payload, **how)


@pytest.mark.parametrize("mood", [NotConnected("gone"), LostAtOnce("gone")], ids=type)
async def test_what_met_a_lost_connection_is_published_again(mood: Exception) -> None:
    bus = Moody(mood)
    await bus.start()
    assert await publish_until_taken(bus, "t", b"x")
    assert bus.published == 2


@pytest.mark.parametrize(("size", "tries"), [(LARGE_BYTES, 2), (20, 10)])
async def test_what_ends_the_connection_again_and_again_is_given_up(size: int, tries: int) -> None:
    bus = Moody(*[LostAtOnce("gone")] * 20)
    await bus.start()
    assert not await publish_until_taken(bus, "t", bytes(size))
    assert bus.published == tries


async def test_connections_that_end_for_other_reasons_in_between_are_forgiven() -> None:
    bus = Moody(*[LostAtOnce("gone"), NotConnected("gone")] * 5)
    await bus.start()
    assert await publish_until_taken(bus, "t", b"x")


@pytest.mark.parametrize("mood", [Refused("no"), TooLarge("too much")], ids=type)
async def test_what_is_refused_is_not_tried_again(mood: Exception) -> None:
    bus = Moody(mood)
    await bus.start()
    assert not await publish_until_taken(bus, "t", b"x")
    assert bus.published == 1


async def test_a_broker_that_says_not_now_is_asked_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(publishing, "_NOT_NOW_S", 0.01)
    bus = Moody(*[NotNow("quota")] * 3)
    await bus.start()
    assert await publish_until_taken(bus, "t", b"x")
    assert bus.published == 4


async def test_a_connection_that_is_refused_is_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    bus = Moody()
    refusals = [Refused("bad password")] * 2

    async def wait(timeout_s: float) -> None:
        del timeout_s
        await asyncio.sleep(0)
        if refusals:
            raise refusals.pop()

    await bus.start()
    monkeypatch.setattr(bus, "wait_connected", wait)
    assert await publish_until_taken(bus, "t", b"x")
