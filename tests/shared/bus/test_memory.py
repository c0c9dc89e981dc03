"""What the memory bus has beyond the contract of every bus: pools that take turns, and counters."""

from __future__ import annotations

from shared.bus import Published, Will
from shared.bus.memory import MemoryBroker
from tests.support.wires import Inbox, eventually, settled


async def test_the_members_of_a_pool_take_turns() -> None:
    broker = MemoryBroker()
    members = [await settled(broker.client(f"edge-{number}")) for number in range(3)]
    inboxes = [Inbox(member) for member in members]
    for member, inbox in zip(members, inboxes, strict=True):
        await member.subscribe("$share/edges/work/+", inbox.take)

    for _ in range(9):
        await members[0].publish("work/x", b"")

    await eventually(lambda: [len(inbox.messages) for inbox in inboxes] == [3, 3, 3])


async def test_a_pool_does_not_take_from_plain_subscribers() -> None:
    broker = MemoryBroker()
    bus = await settled(broker.client("both"))
    plain, pooled = Inbox(bus), Inbox(bus)
    await bus.subscribe("work/+", plain.take)
    await bus.subscribe("$share/p/work/+", pooled.take)
    await bus.publish("work/x", b"")
    await eventually(lambda: len(plain.messages) == len(pooled.messages) == 1)


async def test_it_says_that_nobody_listens() -> None:
    bus = await settled(MemoryBroker().client("lonely"))
    assert await bus.publish("nobody", b"") is Published.NO_SUBSCRIBER


async def test_a_client_of_the_same_name_takes_over_and_the_wills_of_the_first_go_out() -> None:
    broker = MemoryBroker()
    first = await settled(broker.client("twin", Will("status", b"offline")))
    lost: list[bool] = []
    first.watch(lost.append)

    await settled(broker.client("twin"))

    assert lost == [True, False]
    assert broker.retained == {"status": b"offline"}


async def test_published_and_acknowledged_messages_are_counted() -> None:
    broker = MemoryBroker()
    bus = broker.client("counted")
    inbox = Inbox(bus)
    await bus.subscribe("t", inbox.take)
    await settled(bus)
    for _ in range(3):
        await bus.publish("t", b"")
    await eventually(lambda: bus.acknowledged == 3)
    assert broker.published == {"t": 3}
