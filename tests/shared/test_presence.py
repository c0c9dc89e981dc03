"""Who is alive: the roster is told the time; the announcer keeps its word on the bus true."""

from __future__ import annotations

import asyncio
import random
from typing import TYPE_CHECKING

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.errors import MalformedMessage
from shared.memory_bus import MemoryBroker
from shared.presence import Announcer, Load, Roster, Status, decode_status
from tests.wires import Inbox, eventually, settled

if TYPE_CHECKING:
    from shared.bus import Bus
    from tests.wires import Wire

TOPIC = "recserve/v1/status/edge/edge-1"


def online(epoch: int = 1, *, wait_ms: float = 0.0, service_ms: float = 10.0) -> Status:
    return Status("online", epoch, ("classify",), "m", Load(wait_ms, service_ms), heartbeat_s=5.0)


def offline(epoch: int = 1) -> Status:
    return Status("offline", epoch)


@pytest.fixture
def draw() -> random.Random:
    return random.Random(5)


# -- the roster --------------------------------------------------------------------------------


def test_an_agent_is_alive_until_three_heartbeats_were_missed() -> None:
    roster = Roster("edge")
    roster.hear("edge-1", online(), now_s=100.0)
    assert roster.alive("classify", 115.0) == ["edge-1"]
    assert roster.alive("classify", 115.1) == []


def test_an_agent_that_says_goodbye_is_gone_at_once() -> None:
    roster = Roster("edge")
    roster.hear("edge-1", online(), 0.0)
    roster.hear("edge-1", offline(), 1.0)
    assert roster.alive("classify", 1.0) == []


def test_an_agent_whose_status_was_cleared_is_forgotten() -> None:
    roster = Roster("edge")
    roster.hear("edge-1", online(), 0.0)
    roster.forget("edge-1")
    roster.forget("never-heard-of")
    assert roster.alive("classify", 0.0) == []


def test_only_agents_that_serve_the_task_count() -> None:
    roster = Roster("edge")
    roster.hear("edge-1", online(), 0.0)
    assert roster.alive("generate", 0.0) == []


def test_hearing_tells_when_an_agent_comes_alive_and_only_then() -> None:
    roster = Roster("edge")
    assert roster.hear("edge-1", online(), 0.0)
    assert not roster.hear("edge-1", online(), 5.0)
    assert not roster.hear("edge-1", offline(), 6.0)
    assert not roster.hear("edge-1", offline(), 7.0)
    assert roster.hear("edge-1", online(2), 8.0)
    assert roster.hear("edge-1", online(2), 100.0), "it was silent for long"


def test_the_will_of_an_earlier_life_does_not_kill_a_living_agent() -> None:
    roster = Roster("edge")
    roster.hear("edge-1", online(epoch=7), 0.0)
    assert not roster.hear("edge-1", offline(epoch=6), 1.0)
    assert roster.alive("classify", 1.0) == ["edge-1"]


def test_the_will_of_this_life_does() -> None:
    roster = Roster("edge")
    roster.hear("edge-1", online(epoch=7), 0.0)
    roster.hear("edge-1", offline(epoch=7), 1.0)
    assert roster.alive("classify", 1.0) == []


def test_an_agent_whose_clock_was_set_back_is_believed_once_the_old_word_is_stale() -> None:
    """A board without a clock of its own may start again with an earlier epoch than before."""
    roster = Roster("edge")
    roster.hear("edge-1", online(epoch=1_000), 0.0)
    assert not roster.hear("edge-1", online(epoch=10), 5.0)
    assert roster.hear("edge-1", online(epoch=10), 20.0)
    assert roster.alive("classify", 20.0) == ["edge-1"]


def test_the_less_loaded_of_two_is_picked(draw: random.Random) -> None:
    roster = Roster("edge")
    roster.hear("busy", online(wait_ms=500), 0.0)
    roster.hear("idle", online(wait_ms=0), 0.0)
    assert {roster.pick("classify", 0.0, draw) for _ in range(10)} == {"idle"}


def test_what_was_sent_since_counts_as_load_until_the_next_status(draw: random.Random) -> None:
    roster = Roster("edge")
    for agent in ("a", "b"):
        roster.hear(agent, online(service_ms=10), 0.0)

    picked = [roster.pick("classify", 0.0, draw) for _ in range(100)]

    assert picked.count("a") == picked.count("b") == 50
    roster.hear("a", online(service_ms=10), 1.0)
    assert [roster.pick("classify", 1.0, draw) for _ in range(3)] == ["a"] * 3


def test_agents_to_be_avoided_are_never_picked(draw: random.Random) -> None:
    roster = Roster("edge")
    for agent in ("a", "b", "c"):
        roster.hear(agent, online(), 0.0)
    for _ in range(20):
        assert roster.pick("classify", 0.0, draw, avoid={"a", "c"}) == "b"
    assert roster.pick("classify", 0.0, draw, avoid={"a", "b", "c"}) is None


def test_nobody_is_picked_from_an_empty_roster(draw: random.Random) -> None:
    assert Roster("edge").pick("classify", 0.0, draw) is None


def test_best_of_two_keeps_many_agents_even(draw: random.Random) -> None:
    roster = Roster("edge")
    agents = [f"edge-{number}" for number in range(10)]
    for agent in agents:
        roster.hear(agent, online(service_ms=1), 0.0)
    picked = [roster.pick("classify", 0.0, draw) for _ in range(2_000)]
    counts = [picked.count(agent) for agent in agents]
    assert max(counts) - min(counts) < 10, "drawing one at random would spread them over 80"


# -- statuses on the wire ----------------------------------------------------------------------


def test_a_status_is_json_that_people_can_read() -> None:
    encoded = msgspec.json.encode(online(3, wait_ms=1.5))
    assert encoded == (
        b'{"state":"online","epoch":3,"tasks":["classify"],"model":"m",'
        b'"load":{"wait_ms":1.5,"service_ms":10.0},"heartbeat_s":5.0}'
    )
    assert decode_status(encoded) == online(3, wait_ms=1.5)


@pytest.mark.parametrize(
    "payload",
    [
        b"",
        b"offline",
        b"[]",
        b'{"state":"online"}',
        b'{"state":"asleep","epoch":1}',
        b'{"state":"online","epoch":1,"mood":"fine"}',
        b'{"state":"online","epoch":1,"tasks":["translate"]}',
        b'{"state":"online","epoch":1,"load":{"wait_ms":-1}}',
        b'{"state":"online","epoch":1,"load":{"wait_ms":NaN}}',
        b'{"state":"online","epoch":1,"heartbeat_s":0}',
        b'{"state":"online","epoch":1,"heartbeat_s":1e300}',
        b'{"state":"online","epoch":' + b"9" * 3_000 + b"}",
        b'{"state":"online","epoch":1,"model":"\xff"}',
        b'{"a":' * 500,
        b'{"state":"online","epoch":1,"model":"' + b"m" * 5_000 + b'"}',
    ],
    ids=lambda payload: payload[:40].decode(errors="replace"),
)
def test_a_status_that_is_not_exactly_right_is_refused(payload: bytes) -> None:
    with pytest.raises(MalformedMessage, match="status"):
        decode_status(payload)


@given(st.binary(max_size=100))
def test_any_bytes_are_a_status_or_malformed(payload: bytes) -> None:
    with pytest.raises(MalformedMessage):
        decode_status(payload)


# -- the announcer -----------------------------------------------------------------------------


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
    running = asyncio.create_task(announcer(heartbeat_s=0.1).run(bus))
    for _ in range(8):
        await asyncio.sleep(0.01)
        broker.drop("edge-1")
        await bus.start()
    before = broker.published[TOPIC]

    await asyncio.sleep(0.5)
    await stop(running)

    assert broker.published[TOPIC] - before <= 8, "eight timers would have made forty"


async def test_a_broker_that_says_nothing_does_not_hold_up_the_goodbye() -> None:
    class Frozen:
        """A bus whose broker never acknowledges."""

        published = 0

        def watch(self, changed: object) -> None:
            changed(True)  # type: ignore[operator] # a callable, as the port says

        async def publish(self, *_: object, **__: object) -> None:
            self.published += 1
            await asyncio.sleep(60)

    bus = Frozen()
    running = asyncio.create_task(announcer().run(as_bus(bus)))
    await eventually(lambda: bus.published == 1)

    running.cancel()
    await asyncio.wait_for(asyncio.gather(running, return_exceptions=True), 3)

    assert bus.published == 2


def as_bus(bus: object) -> Bus:
    return bus  # type: ignore[return-value] # as much of one as the announcer uses
