"""Hints, over each way to carry messages: out at once or not at all."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests.support.wires import Inbox, eventually, settled

if TYPE_CHECKING:
    from tests.support.wires import Wire


async def test_a_hint_reaches_who_subscribed_and_wants_no_acknowledgement(wire: Wire) -> None:
    sender, reader = await settled(wire.bus("sender")), await settled(wire.bus("reader"))
    inbox = Inbox(reader, acknowledges=False)
    await reader.subscribe(f"{wire.root}/hints/+", inbox.take)

    for number in range(250):  # far more than a broker lets go unacknowledged
        sender.send_soon(f"{wire.root}/hints/{number % 7}", b"%d" % number)

    await eventually(lambda: len(inbox.messages) == 250)
    assert sorted(inbox.payloads, key=int) == [b"%d" % number for number in range(250)]
    assert not any(message.retained for message in inbox.messages)
    reader.acknowledge(inbox.messages[0])
    assert sender.hints_dropped == 0


async def test_a_hint_is_dropped_and_counted_while_cut_off_and_does_not_come_later(
    wire: Wire,
) -> None:
    reader = await settled(wire.bus("reader"))
    inbox = Inbox(reader)
    await reader.subscribe(f"{wire.root}/hints", inbox.take)
    bus = wire.bus("sender")

    bus.send_soon(f"{wire.root}/hints", b"not started")
    await settled(bus)
    wire.cut(bus)
    bus.send_soon(f"{wire.root}/hints", b"cut off")
    await wire.return_(bus)
    bus.send_soon(f"{wire.root}/hints", b"connected again")
    await eventually(lambda: bool(inbox.messages), "the hint after the reconnect")
    await bus.close()
    bus.send_soon(f"{wire.root}/hints", b"closed")

    await reader.publish(f"{wire.root}/hints", b"end")
    await eventually(lambda: b"end" in inbox.payloads)
    assert inbox.payloads == [b"connected again", b"end"]
    assert bus.hints_dropped == 3


async def test_a_hint_that_is_too_large_is_dropped_and_the_connection_lives(wire: Wire) -> None:
    bus = await settled(wire.bus("both"))
    inbox, heard = Inbox(bus), list[bool]()
    await bus.subscribe(f"{wire.root}/hints", inbox.take)
    bus.watch(heard.append)

    bus.send_soon(f"{wire.root}/hints", bytes(2 << 20))
    bus.send_soon(f"{wire.root}/hints", b"small")

    assert (await inbox.next()).payload == b"small"
    assert (bus.hints_dropped, heard) == (1, [True])
