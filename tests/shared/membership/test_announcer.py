"""The announcer that keeps a status true: it hears itself, and its rivals."""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING, cast

from shared.bus.memory import MemoryBroker
from shared.bus.mqtt.bus import MqttBus
from shared.membership.status import Load, Reload, Status, decode_status
from tests.support.announcing import TOPIC, FrozenBus, announcer, next_online, stop, watched
from tests.support.wires import Inbox, eventually, settled

if TYPE_CHECKING:
    from shared.bus import Bus
    from shared.bus.memory import MemoryBus
    from tests.support.wires import MqttWire, Wire


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
