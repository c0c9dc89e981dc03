"""Files over the broker alone: whole, whatever is lost on the way."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest

from shared.bus import Message
from shared.bus.mqtt.bus import MqttBus
from shared.bus.mqtt.settings import MqttSettings
from shared.errors import Refused
from shared.nodes import pieces
from shared.nodes.fetch import BundleFetcher, Progress
from shared.nodes.pieces import PIECE_BYTES, PieceServer, PieceSource, center_channel
from shared.nodes.sources import SourceFailed
from shared.wire.control import PieceWanted, encode_word
from shared.wire.manifest import CHUNK_BYTES
from shared.wire.topics import Topics
from tests.support.processes import BrokerProcess
from tests.support.shipped import content, shipped, store_of
from tests.support.wires import Inbox, MemoryWire, Wire, eventually, settled

if TYPE_CHECKING:
    from pathlib import Path

    from shared.bus import Bus

WEIGHTS = content(7, 3 * CHUNK_BYTES + 999)
BUNDLE = shipped({"model.onnx": WEIGHTS})
LARGE = content(8, 12 * CHUNK_BYTES + 999)
LARGE_BUNDLE = shipped({"model.onnx": LARGE})


def source_on(bus: Bus, topics: Topics, name: str = "pi-1") -> PieceSource:
    async def opened() -> Bus:
        return bus

    return PieceSource(opened, center_channel(topics, name))


async def serving(wire: Wire, folder: Path, data: bytes) -> PieceServer:
    """Start a centre that has one file."""
    channel = center_channel(Topics(wire.root), "+")
    store = store_of(folder / "origin", data)
    server = PieceServer(await settled(wire.bus("center")), channel, store)
    await server.start()
    return server


async def test_a_file_comes_whole_over_each_broker(wire: Wire, tmp_path: Path) -> None:
    topics = Topics(wire.root)
    server = await serving(wire, tmp_path, WEIGHTS)
    store = store_of(tmp_path / "store")
    source = source_on(await settled(wire.bus("pi-1")), topics)

    await BundleFetcher(store).fetch(BUNDLE, [source], Progress())

    assert store.blob(BUNDLE.digest).read_bytes() == WEIGHTS
    assert len(WEIGHTS) <= server.sent_bytes <= 1.5 * len(WEIGHTS)


async def test_a_file_comes_whole_though_its_broker_dies_on_the_way(tmp_path: Path) -> None:
    broker = BrokerProcess("mosquitto", tmp_path / "broker").start()
    settings = MqttSettings(port=broker.port, reconnect_min_s=0.05, reconnect_max_s=0.2)
    buses = [MqttBus(settings, name) for name in ("center", "pi-1")]
    try:
        center, node = [await settled(bus) for bus in buses]
        topics = Topics()
        server = PieceServer(
            center, center_channel(topics, "+"), store_of(tmp_path / "origin", WEIGHTS)
        )
        await server.start()
        store, progress = store_of(tmp_path / "store"), Progress()
        fetching = asyncio.create_task(
            BundleFetcher(store).fetch(BUNDLE, [source_on(node, topics)], progress)
        )
        await eventually(lambda: server.sent_bytes >= CHUNK_BYTES, "a third of it")
        broker.kill()
        broker.start()
        await asyncio.wait_for(fetching, 60)

        assert store.blob(BUNDLE.digest).read_bytes() == WEIGHTS
    finally:
        for bus in buses:
            await bus.close()
        broker.stop()


async def test_to_several_who_fetch_it_at_once_a_file_is_sent_about_once(
    wire: Wire, tmp_path: Path
) -> None:
    topics, names = Topics(wire.root), ("pi-1", "pi-2", "pi-3")
    server = await serving(wire, tmp_path, LARGE)
    stores = {name: store_of(tmp_path / name) for name in names}
    sources = [source_on(await settled(wire.bus(name)), topics, name) for name in names]

    await asyncio.gather(
        *(
            BundleFetcher(store).fetch(LARGE_BUNDLE, [source], Progress())
            for store, source in zip(stores.values(), sources, strict=True)
        )
    )

    for store in stores.values():
        assert store.blob(LARGE_BUNDLE.digest).read_bytes() == LARGE
    assert len(LARGE) <= server.sent_bytes <= 1.3 * len(LARGE)


async def test_one_who_begins_later_goes_on_with_the_others_and_asks_for_what_it_missed(
    wire: Wire, tmp_path: Path
) -> None:
    topics = Topics(wire.root)
    server = await serving(wire, tmp_path, LARGE)
    first = source_on(await settled(wire.bus("pi-1")), topics)
    late = source_on(await settled(wire.bus("pi-2")), topics, "pi-2")
    stores = [store_of(tmp_path / name) for name in ("pi-1", "pi-2")]

    before = asyncio.create_task(BundleFetcher(stores[0]).fetch(LARGE_BUNDLE, [first], Progress()))
    await eventually(lambda: server.sent_bytes >= len(LARGE) / 3, "a third of it")
    missed = server.sent_bytes
    await BundleFetcher(stores[1]).fetch(LARGE_BUNDLE, [late], Progress())
    await before

    for store in stores:
        assert store.blob(LARGE_BUNDLE.digest).read_bytes() == LARGE
    assert server.sent_bytes <= 1.3 * len(LARGE) + missed


@pytest.mark.parametrize("wire", ["mosquitto"], indirect=True)
async def test_a_centre_that_does_not_answer_is_told(wire: Wire) -> None:
    source = source_on(await settled(wire.bus("pi-1")), Topics(wire.root))

    with pytest.raises(SourceFailed, match="the centre does not answer"):
        await source.fetch("a" * 64, 0, 10)


async def test_what_is_no_question_or_of_no_file_is_not_answered(
    wire: Wire, tmp_path: Path
) -> None:
    topics = Topics(wire.root)
    await serving(wire, tmp_path, WEIGHTS)
    node = await settled(wire.bus("pi-1"))
    inbox = Inbox(node)
    await node.subscribe(topics.pieces("+"), inbox.take)
    good = PieceWanted(sha256=BUNDLE.digest, offset=PIECE_BYTES, length=1)
    for payload in (
        b"",
        b"{}",
        encode_word(PieceWanted(sha256="a" * 64, offset=0, length=9)),
        encode_word(PieceWanted(sha256=BUNDLE.digest, offset=1 << 80, length=9)),
        encode_word(PieceWanted(sha256=BUNDLE.digest, offset=5, length=PIECE_BYTES)),
        encode_word(PieceWanted(sha256=BUNDLE.digest, offset=len(WEIGHTS), length=9)),
        b'{"sha256":"../../../../etc/passwd","offset":0,"length":9}',
        encode_word(good),
    ):
        await node.publish(topics.pieces_asked("pi-1"), payload)

    frame = (await inbox.next()).payload
    assert int.from_bytes(frame[:8], "big") == PIECE_BYTES
    assert frame[8:] == WEIGHTS[PIECE_BYTES : 2 * PIECE_BYTES], "a whole piece"
    assert len(inbox.messages) == 1


async def test_a_broker_that_refuses_the_pieces_of_a_file_keeps_nobody_off_it(
    tmp_path: Path,
) -> None:
    wire = MemoryWire()
    topics = Topics(wire.root)
    node = await settled(wire.bus("pi-1"))
    source = source_on(node, topics)
    wire.broker.deny(topics.pieces(BUNDLE.digest))
    for _ in range(2):
        with pytest.raises(Refused):
            await source.fetch(BUNDLE.digest, 0, 10)

    wire.cut(node)
    await wire.return_(node)

    wire.broker.denied.clear()
    await serving(wire, tmp_path, WEIGHTS)
    assert await source.fetch(BUNDLE.digest, 0, PIECE_BYTES) == WEIGHTS[:PIECE_BYTES]
    await wire.close()


async def test_what_was_cancelled_before_the_broker_agreed_is_not_asked_of_it_again(
    tmp_path: Path,
) -> None:
    broker = BrokerProcess("mosquitto", tmp_path / "broker").start()
    node = MqttBus(MqttSettings(port=broker.port), "pi-1")
    try:
        await settled(node)
        broker.freeze()
        fetching = asyncio.create_task(source_on(node, Topics()).fetch(BUNDLE.digest, 0, 10))
        await eventually(lambda: bool(node._subscriptions), "it asks to hear the file")
        fetching.cancel()
        await asyncio.gather(fetching, return_exceptions=True)

        assert not node._subscriptions
    finally:
        broker.kill()
        await node.close()


async def test_one_who_asks_for_single_bytes_keeps_no_piece_from_the_others(
    wire: Wire, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pieces, "_SENT_S", 60.0)  # what was sent is not sent again in this test
    topics = Topics(wire.root)
    await serving(wire, tmp_path, WEIGHTS)
    greedy = await settled(wire.bus("pi-2"))
    source = source_on(await settled(wire.bus("pi-1")), topics)
    await source.fetch(BUNDLE.digest, 0, PIECE_BYTES)  # it listens now

    for at in range(PIECE_BYTES, CHUNK_BYTES, PIECE_BYTES):
        byte = PieceWanted(sha256=BUNDLE.digest, offset=at, length=1)
        await greedy.publish(topics.pieces_asked("pi-2"), encode_word(byte))
        heard = await source.fetch(BUNDLE.digest, at, PIECE_BYTES)
        assert heard == WEIGHTS[at : at + PIECE_BYTES]


@pytest.mark.parametrize("wire", ["mosquitto"], indirect=True)
async def test_a_piece_that_the_bus_dropped_counts_for_nothing_and_is_sent_when_asked_for_again(
    wire: Wire, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pieces, "_SENT_S", 60.0)  # what was sent is not sent again in this test
    topics = Topics(wire.root)
    server = await serving(wire, tmp_path, WEIGHTS)
    node = await settled(wire.bus("pi-1"))
    inbox = Inbox(node)
    await node.subscribe(topics.pieces(BUNDLE.digest), inbox.take)

    def ask() -> bool:
        """Ask for a megabyte at once, of which most finds no room on its way to the socket."""
        for at in range(0, CHUNK_BYTES, PIECE_BYTES):
            wanted = PieceWanted(sha256=BUNDLE.digest, offset=at, length=PIECE_BYTES)
            server._hear(Message(topics.pieces_asked("pi-1"), encode_word(wanted)))
        return server.sent_bytes == CHUNK_BYTES

    assert not ask()
    await eventually(ask, "all of it")
    await eventually(lambda: len(inbox.messages) >= CHUNK_BYTES // PIECE_BYTES, "every piece")
    assert len(set(inbox.payloads)) == len(inbox.payloads) == CHUNK_BYTES // PIECE_BYTES
