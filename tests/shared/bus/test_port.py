"""What every bus keeps, over the memory bus, the embedded broker and Mosquitto alike."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest

from shared.bus import Published, Will
from shared.errors import NotConnected
from tests.support.wires import Inbox, eventually, settled

if TYPE_CHECKING:
    from tests.support.wires import Wire


async def test_a_published_message_reaches_who_subscribed_and_nobody_else(wire: Wire) -> None:
    sender, reader = await settled(wire.bus("sender")), await settled(wire.bus("reader"))
    wanted, other = Inbox(reader), Inbox(reader)
    await reader.subscribe(f"{wire.root}/a/+", wanted.take)
    await reader.subscribe(f"{wire.root}/b/#", other.take)

    delivery = await sender.publish(f"{wire.root}/a/x", b"\x00\xff payload")

    message = await wanted.next()
    assert (message.topic, message.payload) == (f"{wire.root}/a/x", b"\x00\xff payload")
    assert not message.retained
    assert delivery is Published.TAKEN
    assert other.messages == []


async def test_each_of_overlapping_subscriptions_is_given_each_message_once(wire: Wire) -> None:
    sender, reader = await settled(wire.bus("sender")), wire.bus("reader")
    await sender.publish(f"{wire.root}/line/2/kept", b"kept", retain=True)
    filters = ("line/+/kept", "#", "line/2/+", "line/2/kept", "line/2/kept")
    inboxes = [Inbox(reader) for _ in filters]
    for topics, inbox in zip(filters[:3], inboxes, strict=False):
        await reader.subscribe(f"{wire.root}/{topics}", inbox.take)
    await settled(reader)
    for topics, inbox in zip(filters[3:], inboxes[3:], strict=True):
        await reader.subscribe(f"{wire.root}/{topics}", inbox.take)
    await eventually(lambda: all(inbox.messages for inbox in inboxes), "what is retained")
    retained = [inbox.payloads for inbox in inboxes[:3]]

    said = [b"same", b"same", b"other", b"same"]
    for payload in said:
        await sender.publish(f"{wire.root}/line/2/kept", payload)
    await sender.publish(f"{wire.root}/line/2/kept", b"end")
    await eventually(lambda: all(inbox.payloads[-1] == b"end" for inbox in inboxes), "the end")

    assert retained == [[b"kept"]] * 3
    for inbox in inboxes:
        live = [message.payload for message in inbox.messages if not message.retained]
        assert live == [*said, b"end"]


async def test_an_overlapped_message_counts_until_all_who_have_it_acknowledge(wire: Wire) -> None:
    # Far more than a broker lets go unacknowledged: a slot that leaked would end the flow.
    bus = await settled(wire.bus("reader"))
    wide, narrow = Inbox(bus), Inbox(bus)
    await bus.subscribe(f"{wire.root}/#", wide.take)
    await bus.subscribe(f"{wire.root}/work/+", narrow.take)
    sender = await settled(wire.bus("sender"))

    for number in range(250):
        await sender.publish(f"{wire.root}/work/{number % 7}", b"%d" % number)

    wanted = [b"%d" % number for number in range(250)]
    await eventually(lambda: wide.payloads == wanted and narrow.payloads == wanted)


async def test_a_subscription_made_before_the_start_counts(wire: Wire) -> None:
    reader = wire.bus("reader")
    inbox = Inbox(reader)
    await reader.subscribe(f"{wire.root}/early", inbox.take)
    await settled(reader)

    await reader.publish(f"{wire.root}/early", b"1")

    assert (await inbox.next()).payload == b"1"


async def test_who_unsubscribes_is_given_no_more_and_other_readers_of_the_filter_are(
    wire: Wire,
) -> None:
    sender, reader = await settled(wire.bus("sender")), await settled(wire.bus("reader"))
    leaving, staying, again = Inbox(reader), Inbox(reader), Inbox(reader)
    topic = f"{wire.root}/status/a"
    await reader.subscribe(f"{wire.root}/status/+", leaving.take)
    await reader.subscribe(f"{wire.root}/status/+", staying.take)
    await sender.publish(topic, b"1", retain=True)
    await eventually(lambda: leaving.payloads == staying.payloads == [b"1"])

    reader.unsubscribe(f"{wire.root}/status/+", leaving.take)
    reader.unsubscribe(f"{wire.root}/nothing", leaving.take)
    await sender.publish(topic, b"2", retain=True)
    await eventually(lambda: staying.payloads == [b"1", b"2"])
    reader.unsubscribe(f"{wire.root}/status/+", staying.take)
    await sender.publish(topic, b"3", retain=True)
    await reader.subscribe(f"{wire.root}/status/+", again.take)
    await eventually(lambda: bool(again.messages))
    await sender.publish(topic, b"4", retain=True)

    await eventually(lambda: again.payloads[-1] == b"4")
    assert leaving.payloads == [b"1"]
    assert staying.payloads == [b"1", b"2"]
    assert again.payloads == [b"3", b"4"]
    assert again.messages[0].retained


async def test_what_was_unsubscribed_while_cut_off_does_not_come_back(wire: Wire) -> None:
    sender, reader = await settled(wire.bus("sender")), await settled(wire.bus("reader"))
    unwanted, wanted = Inbox(reader), Inbox(reader)
    await reader.subscribe(f"{wire.root}/unwanted", unwanted.take)
    await reader.subscribe(f"{wire.root}/wanted", wanted.take)
    wire.cut(reader)
    reader.unsubscribe(f"{wire.root}/unwanted", unwanted.take)
    await wire.return_(reader)

    await sender.publish(f"{wire.root}/unwanted", b"1")
    await sender.publish(f"{wire.root}/wanted", b"2")

    assert (await wanted.next()).payload == b"2"
    assert unwanted.messages == []


async def test_messages_of_one_sender_arrive_in_order(wire: Wire) -> None:
    bus = await settled(wire.bus("both"))
    inbox = Inbox(bus)
    await bus.subscribe(f"{wire.root}/n", inbox.take)

    await asyncio.gather(*(bus.publish(f"{wire.root}/n", b"%d" % n) for n in range(300)))
    await eventually(lambda: len(inbox.messages) == 300)

    assert inbox.payloads == [b"%d" % n for n in range(300)]


async def test_a_retained_message_waits_for_a_later_reader(wire: Wire) -> None:
    sender = await settled(wire.bus("sender"))
    await sender.publish(f"{wire.root}/status/a", b"old", retain=True)
    await sender.publish(f"{wire.root}/status/a", b"online", retain=True)

    reader = wire.bus("reader")
    inbox = Inbox(reader)
    await reader.subscribe(f"{wire.root}/status/+", inbox.take)
    await settled(reader)

    message = await inbox.next()
    assert (message.payload, message.retained) == (b"online", True)
    await asyncio.sleep(0.05)
    assert inbox.payloads == [b"online"]


async def test_an_empty_retained_message_clears_the_one_before(wire: Wire) -> None:
    sender = await settled(wire.bus("sender"))
    await sender.publish(f"{wire.root}/status/gone", b"online", retain=True)
    await sender.publish(f"{wire.root}/status/gone", b"", retain=True)
    await sender.publish(f"{wire.root}/status/here", b"online", retain=True)

    reader = await settled(wire.bus("reader"))
    inbox = Inbox(reader)
    await reader.subscribe(f"{wire.root}/status/+", inbox.take)

    assert (await inbox.next()).topic == f"{wire.root}/status/here"
    await asyncio.sleep(0.05)
    assert len(inbox.messages) == 1


async def test_the_will_of_a_lost_client_is_published_and_retained(wire: Wire) -> None:
    watcher = await settled(wire.bus("watcher"))
    inbox = Inbox(watcher)
    await watcher.subscribe(f"{wire.root}/status/+", inbox.take)
    lost = await settled(wire.bus("lost", Will(f"{wire.root}/status/lost", b"offline")))

    wire.kill(lost)

    assert (await inbox.next()).payload == b"offline"
    late = await settled(wire.bus("late"))
    found = Inbox(late)
    await late.subscribe(f"{wire.root}/status/+", found.take)
    assert (await found.next()).retained


async def test_a_client_that_says_goodbye_leaves_no_will(wire: Wire) -> None:
    watcher = await settled(wire.bus("watcher"))
    inbox = Inbox(watcher)
    await watcher.subscribe(f"{wire.root}/status/+", inbox.take)
    polite = await settled(wire.bus("polite", Will(f"{wire.root}/status/polite", b"offline")))

    # The embedded broker takes a goodbye that follows the handshake at once for a loss.
    await polite.subscribe(f"{wire.root}/hello", polite.acknowledge)
    await polite.close()
    await watcher.publish(f"{wire.root}/status/marker", b"later")

    assert (await inbox.next()).payload == b"later"


async def test_every_message_can_be_acknowledged_and_the_next_ones_keep_coming(wire: Wire) -> None:
    # More messages than a broker lets go unacknowledged at once.
    bus = await settled(wire.bus("reader"))
    inbox = Inbox(bus)
    await bus.subscribe(f"{wire.root}/work", inbox.take)
    sender = await settled(wire.bus("sender"))

    for number in range(250):
        await sender.publish(f"{wire.root}/work", b"%d" % number)

    await eventually(lambda: len(inbox.messages) == 250)


async def test_publishing_while_cut_off_says_so_at_once(wire: Wire) -> None:
    never_started = wire.bus("never")
    with pytest.raises(NotConnected):
        await never_started.publish(f"{wire.root}/x", b"")

    killed = await settled(wire.bus("killed"))
    wire.kill(killed)
    with pytest.raises(NotConnected):
        await killed.publish(f"{wire.root}/x", b"")

    closed = await settled(wire.bus("closed"))
    await closed.close()
    with pytest.raises(NotConnected):
        await closed.publish(f"{wire.root}/x", b"")


async def test_a_watcher_hears_of_the_connection_that_is_there_and_of_its_loss(wire: Wire) -> None:
    early: list[bool] = []
    late: list[bool] = []
    bus = wire.bus("watched")
    bus.watch(early.append)
    await settled(bus)
    bus.watch(late.append)

    wire.cut(bus)
    await eventually(lambda: False in early)

    assert early[:2] == [True, False]
    assert late[:2] == [True, False]


async def test_a_connection_given_up_on_is_replaced_and_its_will_with_it(wire: Wire) -> None:
    watcher = await settled(wire.bus("watcher"))
    wills = Inbox(watcher)
    await watcher.subscribe(f"{wire.root}/status/+", wills.take)
    bus = wire.bus("edge-1", Will(f"{wire.root}/status/edge-1", b"first"))
    inbox, heard = Inbox(bus), list[bool]()
    await bus.subscribe(f"{wire.root}/in", inbox.take)
    bus.watch(heard.append)
    await settled(bus)

    bus.reconnect("it seemed deaf", will=Will(f"{wire.root}/status/edge-1", b"second"))
    await eventually(lambda: heard == [True, False, True], "the reconnect")
    await watcher.publish(f"{wire.root}/in", b"still subscribed")
    assert (await inbox.next()).payload == b"still subscribed"
    wire.kill(bus)

    await eventually(lambda: wills.payloads == [b"first", b"second"], "both wills")


async def test_a_bus_that_is_not_connected_takes_a_new_will_for_later(wire: Wire) -> None:
    watcher = await settled(wire.bus("watcher"))
    wills = Inbox(watcher)
    await watcher.subscribe(f"{wire.root}/status/+", wills.take)
    bus = wire.bus("edge-1", Will(f"{wire.root}/status/edge-1", b"first"))

    bus.reconnect("not yet", will=Will(f"{wire.root}/status/edge-1", b"second"))
    await settled(bus)
    wire.kill(bus)

    assert (await wills.next()).payload == b"second"
