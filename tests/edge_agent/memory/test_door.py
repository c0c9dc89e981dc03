"""Memories on one wire, asked as the operator asks them."""

from __future__ import annotations

import threading
import time
from typing import TYPE_CHECKING, Any

import msgspec
import pytest

from edge_agent.memory.desk import MemoryDesk
from edge_agent.memory.door import MemoryDoor
from edge_agent.memory.requests import (
    ForgetEntries,
    MemoryAnswer,
    MemoryAsk,
    MemoryEpoch,
    ShowMemory,
    decode_answer,
)
from edge_agent.memory.settings import MemorySettings
from edge_agent.memory.store import MemoryStore
from edge_agent.memory.worker import MemoryWorker
from shared.wire.topics import Topics
from tests.support.wires import MemoryWire, eventually, settled
from tests.support.word_vectors import DIMENSIONS, learn, recall, vector_of

if TYPE_CHECKING:
    from shared.bus import Bus, Message

RIVER = "Who was the director of Glass River?"
NOW_S = time.time()


class Edge:
    """What of an edge has to do with its door."""

    def __init__(self, bus: Bus, name: str) -> None:
        self._bus, self._name = bus, name
        self._store = MemoryStore.open(None, "digest-1", DIMENSIONS)
        self.worker = MemoryWorker(MemorySettings(), DIMENSIONS, vector_of, self._store)
        desk = MemoryDesk(self.worker.memory, self._store, self.worker.embed)
        self.door = MemoryDoor(self.worker, desk, self._store)
        for _ in range(2):
            learn(self.worker.memory, RIVER, "Ida Holm", NOW_S - 100)

    async def open(self, topics: Topics) -> None:
        await settled(self._bus)
        await self.door.open(self._bus, topics, self._name)

    async def knows(self) -> bool:
        found = await self.worker.do(recall, self.worker.memory, RIVER, NOW_S)
        return found.best is not None

    async def close(self) -> None:
        await self.door.close()
        await self.worker.close()
        await self._store.close()


class Operator:
    """Asks, and hears all answers."""

    def __init__(self, bus: Bus, topics: Topics) -> None:
        self.heard: list[MemoryAnswer] = []
        self.bus, self._topics = bus, topics

    async def listen(self) -> None:
        def hear(message: Message) -> None:
            self.bus.acknowledge(message)
            self.heard.append(decode_answer(message.payload))

        await settled(self.bus)
        await self.bus.subscribe(self._topics.memory_answers("+"), hear)

    async def ask(self, agent: str, request: Any) -> MemoryAnswer:
        before = len(self.heard)
        payload = msgspec.json.encode(MemoryAsk("7", request))
        await self.bus.publish(self._topics.memory_ask(agent), payload)
        await eventually(lambda: len(self.heard) > before, "an answer")
        return self.heard[-1]


async def test_an_edge_forgets_what_it_is_told_to_and_says_how_much() -> None:
    wire = MemoryWire()
    topics = Topics(wire.root)
    edge, operator = Edge(wire.bus("edge-1"), "edge-1"), Operator(wire.bus("operator"), topics)
    await edge.open(topics)
    await operator.listen()
    shown = await operator.ask("edge-1", ShowMemory())
    forgot = await operator.ask("edge-1", ForgetEntries(containing="glass"))
    nothing = await operator.ask("edge-1", ForgetEntries())

    assert shown.answer["entries"] == 1
    assert (forgot.id, forgot.answer) == ("7", {"forgotten": 1})
    assert nothing.error.startswith("nothing was named")
    assert not await edge.knows()
    await edge.close()
    await wire.close()


async def test_an_epoch_holds_at_once_at_every_edge_and_for_those_that_come_later() -> None:
    wire = MemoryWire()
    topics = Topics(wire.root)
    edges = [Edge(wire.bus(name), name) for name in ("edge-1", "edge-2")]
    operator, late = Operator(wire.bus("operator"), topics), Edge(wire.bus("edge-3"), "edge-3")
    for edge in edges:
        await edge.open(topics)
        assert await edge.knows()
    await operator.listen()
    epoch = msgspec.json.encode(MemoryEpoch(NOW_S - 50))
    await operator.bus.publish(topics.memory_epoch, epoch, retain=True)
    await late.open(topics)
    memories = [edge.worker.memory for edge in (*edges, late)]
    await eventually(lambda: not any(memory.entries for memory in memories), "all have forgotten")

    for edge in (*edges, late):
        assert not await edge.knows()
        learn(edge.worker.memory, RIVER, "Ida Holm", NOW_S)
        assert await edge.knows()
        await edge.close()
    await wire.close()


@pytest.mark.parametrize("payload", [b"", b"[]", b"\xff", b'{"id":"1","request":{"do":"sing"}}'])
async def test_what_is_no_request_costs_a_line_and_the_next_is_answered(payload: bytes) -> None:
    wire = MemoryWire()
    topics = Topics(wire.root)
    edge, operator = Edge(wire.bus("edge-1"), "edge-1"), Operator(wire.bus("operator"), topics)
    await edge.open(topics)
    await operator.listen()
    for topic in (topics.memory_ask("edge-1"), topics.memory_epoch):
        await operator.bus.publish(topic, payload)

    assert (await operator.ask("edge-1", ShowMemory())).answer["entries"] == 1
    await edge.close()
    await wire.close()


async def test_an_epoch_is_heard_however_many_requests_are_in_hand() -> None:
    wire = MemoryWire()
    topics = Topics(wire.root)
    edge, operator = Edge(wire.bus("edge-1"), "edge-1"), Operator(wire.bus("operator"), topics)
    await edge.open(topics)
    await operator.listen()
    free = threading.Event()
    held = edge.worker.do(free.wait)  # the memory's thread is at something that takes long
    try:
        for _ in range(17):
            payload = msgspec.json.encode(MemoryAsk("7", ShowMemory()))
            await operator.bus.publish(topics.memory_ask("edge-1"), payload)
        await eventually(lambda: bool(operator.heard), "a refusal")
        epoch = msgspec.json.encode(MemoryEpoch(NOW_S - 50))
        await operator.bus.publish(topics.memory_epoch, epoch)
    finally:
        free.set()
    await held
    await eventually(lambda: len(operator.heard) == 17, "an answer to each")
    await eventually(lambda: not edge.worker.memory.entries, "it to forget")

    refused = [answer.error for answer in operator.heard if answer.error]
    assert refused == ["the memory has 16 requests in hand; ask again in a moment"]
    await edge.close()
    await wire.close()
