"""Wills of earlier lives, and other processes of the same name."""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING

import msgspec
import pytest

from shared.bus.mqtt.bus import MqttBus
from shared.errors import Fenced
from shared.membership.status import Status, decode_status
from tests.support.announcing import announcer, next_online, stop, watched
from tests.support.wires import eventually, settled

if TYPE_CHECKING:
    from tests.support.wires import Wire


async def test_a_stale_will_is_overwritten_at_once(wire: Wire) -> None:
    topic = f"{wire.root}/status/edge/edge-1"
    inbox = await watched(wire, topic)
    bus = await settled(wire.bus("edge-1"))
    running = asyncio.create_task(announcer(topic).run(bus))
    ours = await next_online(inbox)
    await asyncio.sleep(0.1)

    stranger = await settled(wire.bus("stranger"))
    ghost = msgspec.json.encode(Status("offline", ours.epoch - 1, boot="earlier"))
    await stranger.publish(topic, ghost, retain=True)

    assert decode_status((await inbox.next()).payload).state == "offline"
    assert await next_online(inbox) == ours
    await stop(running)


async def test_a_life_whose_clock_is_behind_takes_a_later_epoch_and_a_will_of_that(
    wire: Wire,
) -> None:
    topic = f"{wire.root}/status/edge/edge-1"
    later = int(time.time() * 1000) + 3_600_000
    before = await settled(wire.bus("before"))
    ghost = msgspec.json.encode(Status("online", later, ("classify",), boot="earlier"))
    await before.publish(topic, ghost, retain=True)
    inbox = await watched(wire, topic)
    announcing = announcer(topic)
    bus = wire.bus("edge-1", announcing.will())

    running = asyncio.create_task(announcing.run(bus))
    await settled(bus)

    def has_a_new_will() -> bool:
        """The old one was the broker's last word on the connection that had it."""
        words = [decode_status(message.payload) for message in inbox.messages]
        old = any(word.state == "offline" and word.epoch < later for word in words)
        return old and (words[-1].state, words[-1].epoch) == ("online", later + 1)

    await eventually(has_a_new_will)
    await wire.return_(bus) if isinstance(bus, MqttBus) else None
    await stop(running)
    await eventually(lambda: decode_status(inbox.messages[-1].payload).state == "offline")
    wire.kill(bus)
    await asyncio.sleep(0.1)

    words = [decode_status(message.payload) for message in inbox.messages]
    assert words[-1] == decode_status(announcing.will().payload)
    assert words[-1].epoch == later + 1


async def test_of_two_processes_with_one_name_the_older_ends_and_says_why(wire: Wire) -> None:
    """They share a client id, so that the broker throws each out for the other."""
    topic = f"{wire.root}/status/edge/edge-1"
    inbox = await watched(wire, topic)
    # The embedded broker leaves the older connection open and deaf: the canary has to notice.
    first, second = announcer(topic, heartbeat_s=0.5), announcer(topic, heartbeat_s=0.5)
    older, newer = wire.bus("edge-1", first.will()), wire.bus("edge-1", second.will())
    await settled(older)
    running = asyncio.create_task(first.run(older))
    was = await next_online(inbox)
    await asyncio.sleep(0.1)

    await newer.start()
    staying = asyncio.create_task(second.run(newer))
    turns = 0
    while not (running.done() or isinstance(older, MqttBus)):  # which comes back by itself
        await wire.return_(older if turns % 2 == 0 else newer)
        await asyncio.sleep(0.05)
        turns += 1
        assert turns < 10
    with pytest.raises(Fenced, match=rf"agent 'edge-1'.*epoch is \d+, ours {was.epoch}\)"):
        await asyncio.wait_for(running, 20)
    await older.close()
    if not isinstance(newer, MqttBus):
        await wire.return_(newer)

    def stands() -> bool:
        last = decode_status(inbox.messages[-1].payload)
        return last.state == "online" and last.boot != was.boot

    await eventually(stands, "the newer process")
    assert not staying.done()
    await stop(staying)


async def test_a_newer_process_with_a_client_id_of_its_own_is_heard_as_well(wire: Wire) -> None:
    topic = f"{wire.root}/status/edge/edge-1"
    inbox = await watched(wire, topic)
    older, newer = await settled(wire.bus("one")), await settled(wire.bus("other"))
    running = asyncio.create_task(announcer(topic).run(older))
    was = await next_online(inbox)
    await asyncio.sleep(0.1)

    staying = asyncio.create_task(announcer(topic).run(newer))
    with pytest.raises(Fenced):
        await asyncio.wait_for(running, 5)

    assert (await next_online(inbox)).state == "online"
    await asyncio.sleep(0.1)
    words = [decode_status(message.payload) for message in inbox.messages]
    assert [word for word in words if word.boot == was.boot] == [was], "it left without a word"
    await stop(staying)


async def test_what_is_no_status_on_our_own_topic_is_passed_over(wire: Wire) -> None:
    topic = f"{wire.root}/status/edge/edge-1"
    bus = await settled(wire.bus("edge-1"))
    running = asyncio.create_task(announcer(topic, heartbeat_s=0.2).run(bus))
    await bus.publish(topic, b"junk")
    await bus.publish(topic, b"")
    inbox = await watched(wire, topic)
    assert (await next_online(inbox)).state == "online"
    assert not running.done()
    await stop(running)
