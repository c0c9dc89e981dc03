"""The announcer that keeps a status true: it hears itself, and its rivals."""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING, cast

import msgspec
import pytest

from shared.bus.memory import MemoryBroker
from shared.bus.mqtt.bus import MqttBus
from shared.errors import Fenced
from shared.membership.announcer import Announcer
from shared.membership.status import Load, Reload, Status, decode_status
from tests.support.wires import Inbox, eventually, settled

if TYPE_CHECKING:
    from collections.abc import Callable

    from shared.bus import Bus
    from shared.bus.memory import MemoryBus
    from tests.support.wires import MqttWire, Wire

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


async def test_an_agent_announces_itself_when_connected_and_says_goodbye(wire: Wire) -> None:
    topic = f"{wire.root}/status/edge/edge-1"
    announcing = announcer(topic)
    bus, watcher = wire.bus("edge-1", announcing.will()), await settled(wire.bus("watcher"))
    inbox = Inbox(watcher)
    await watcher.subscribe(topic, inbox.take)
    await settled(bus)

    running = asyncio.create_task(announcing.run(bus))
    hello = decode_status((await inbox.next()).payload)
    await stop(running)
    goodbye = decode_status((await inbox.next()).payload)

    assert (hello.state, hello.tasks, hello.model) == ("online", ("classify",), "m")
    assert hello.load == Load(12.0, 3.0)
    assert (goodbye.state, goodbye.epoch) == ("offline", hello.epoch)
    assert decode_status(announcing.will().payload) == goodbye


async def test_another_model_and_what_became_of_a_reload_are_said_at_once() -> None:
    broker = MemoryBroker()
    announcing = announcer(TOPIC, heartbeat_s=60)
    bus = broker.client("edge-1", announcing.will())
    await settled(bus)
    running = asyncio.create_task(announcing.run(bus))
    await eventually(lambda: TOPIC in broker.retained)

    def said() -> Status:
        return decode_status(broker.retained[TOPIC])

    announcing.tell(Reload(1))
    await eventually(lambda: said().reload == Reload(1))
    announcing.serves("next", "0123", {"classify"}, "agreement")
    announcing.tell(Reload(1, "exchanged"))
    await eventually(lambda: said().reload == Reload(1, "exchanged"))

    assert (said().model, said().bundle, said().tasks) == ("next", "0123", ("classify",))
    assert said().confidence_kind == "agreement"
    await stop(running)


async def test_it_announces_itself_again_right_after_a_reconnect(wire: Wire) -> None:
    topic = f"{wire.root}/status/edge/edge-1"
    announcing = announcer(topic)
    bus, watcher = wire.bus("edge-1", announcing.will()), await settled(wire.bus("watcher"))
    inbox = Inbox(watcher)
    await watcher.subscribe(topic, inbox.take)
    await settled(bus)
    running = asyncio.create_task(announcing.run(bus))
    await inbox.next()

    wire.cut(bus)
    await wire.return_(bus)
    assert decode_status((await inbox.next()).payload).state == "offline"
    assert decode_status((await inbox.next()).payload).state == "online"

    await stop(running)


async def test_heartbeats_come_at_their_interval() -> None:
    broker = MemoryBroker()
    announcing = announcer(heartbeat_s=0.02)
    bus = await settled(broker.client("edge-1"))

    running = asyncio.create_task(announcing.run(bus))
    await eventually(lambda: broker.published[TOPIC] >= 4)
    await stop(running)

    assert decode_status(broker.retained[TOPIC]).state == "offline"


async def test_reconnects_do_not_multiply_the_heartbeats() -> None:
    broker = MemoryBroker()
    bus = await settled(broker.client("edge-1"))
    announcing = announcer(heartbeat_s=0.1)
    running = asyncio.create_task(announcing.run(bus))
    for _ in range(8):
        await asyncio.sleep(0.01)
        broker.drop("edge-1")
        await bus.start()
    before = broker.published[TOPIC]

    await asyncio.sleep(0.5)
    await stop(running)

    assert broker.published[TOPIC] - before <= 8, "eight timers would have made forty"


async def test_a_broker_that_says_nothing_does_not_hold_up_the_goodbye() -> None:
    bus = FrozenBus()
    running = asyncio.create_task(announcer().run(cast("Bus", bus)))
    await eventually(lambda: bus.published == 1)

    running.cancel()
    await asyncio.wait_for(asyncio.gather(running, return_exceptions=True), 3)

    assert bus.published == 2


# -- hearing itself ----------------------------------------------------------------------------


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


async def test_a_connection_that_brings_no_echo_is_dropped_for_a_new_one() -> None:
    broker = MemoryBroker()
    bus: MemoryBus = broker.client("edge-1")
    await settled(bus)
    heard: list[bool] = []
    bus.watch(heard.append)
    running = asyncio.create_task(announcer(heartbeat_s=0.05).run(bus))
    await eventually(lambda: broker.published[TOPIC] >= 2)
    broker.deafen("edge-1")
    deaf_s = time.monotonic()

    await eventually(lambda: heard == [True, False, True], "the reconnect")

    assert 1.9 < time.monotonic() - deaf_s < 4.0
    await asyncio.sleep(0.2)
    assert heard == [True, False, True], "the new connection brings echoes"
    await stop(running)


async def test_mosquitto_that_forgot_our_subscriptions_is_noticed(mosquitto: MqttWire) -> None:
    topic = f"{mosquitto.root}/status/edge/edge-1"
    bus = MqttBus(mosquitto.settings(), "forgotten")
    await settled(bus)
    heard: list[bool] = []
    bus.watch(heard.append)
    running = asyncio.create_task(announcer(topic, heartbeat_s=0.3).run(bus))
    inbox = await watched(mosquitto, topic)
    await next_online(inbox)
    assert bus._connection is not None
    bus._connection._client.unsubscribe(topic)

    await eventually(lambda: heard == [True, False, True], "the reconnect")

    await asyncio.sleep(1.0)
    assert heard == [True, False, True], "it hears again"
    await stop(running)
    await bus.close()


async def test_a_frozen_broker_is_noticed_by_its_silence_and_not_only_by_keepalive() -> None:
    bus = FrozenBus()
    running = asyncio.create_task(announcer(heartbeat_s=0.1).run(cast("Bus", bus)))
    await eventually(lambda: bus.reconnects == 1, timeout_s=4)
    await stop(running)


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
