"""Edges that share: what one has had confirmed another takes in, as one answer from above."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

import msgspec
import pytest

from edge_agent.memory.offers import OFFER_BYTES, decode_offer, encode_offer
from edge_agent.memory.settings import MemorySettings
from edge_agent.memory.sharing import MemorySharing
from edge_agent.memory.store import MemoryStore
from edge_agent.memory.worker import FromAbove, LookUp, MemoryWorker, Remembered
from edge_agent.settings import EdgeSettings
from shared.errors import MalformedMessage, SettingsError
from shared.settings.file import load
from shared.tasks import Request
from shared.wire.topics import Topics
from tests.support.processes import ROOT
from tests.support.wires import Inbox, MemoryWire, eventually, settled
from tests.support.word_vectors import DIMENSIONS, learn, small_memory, vector_of

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from edge_agent.memory.entries import Entry
    from shared.bus import Bus

RIVER = "Who was the director of Glass River?"
NOW_S = time.time()


class Edge:
    """What of an edge has to do with sharing."""

    def __init__(self, bus: Bus, name: str, *, share: bool = True, versions: str = "v1") -> None:
        settings = MemorySettings(share=share, owners="apart")  # as a wing has it
        self.bus, self.name = bus, name
        self._store = MemoryStore.open(None, "digest-1", DIMENSIONS)
        self.worker = MemoryWorker(settings, DIMENSIONS, vector_of, self._store)
        self.memory = self.worker.memory
        self.sharing = MemorySharing(self.worker, lambda _: (versions,))

    async def open(self, topics: Topics) -> None:
        await settled(self.bus)
        await self.sharing.open(self.bus, topics, self.name)

    async def hears(self, answer: str = "Ida Holm", *, owner: str = "", text: str = RIVER) -> None:
        """Take in an answer from above, as a wing does."""
        asked = LookUp(Request("generate", text), owner, ("v1",))
        learned = await self.worker.do(
            self.worker.learn, FromAbove(asked, answer, "cloud", "v1", "")
        )
        if learned.offer:
            self.sharing.offer(learned.offer)

    async def answers(self) -> bool:
        asked = LookUp(Request("generate", RIVER), "", ("v1",))
        return isinstance(await self.worker.do(self.worker.find, asked), Remembered)

    async def close(self) -> None:
        await self.sharing.close()
        await self.worker.close()
        await self._store.close()


class Site:
    """Two edges on one wire, and whatever is offered there."""

    def __init__(self) -> None:
        self.wire = MemoryWire()
        self.topics = Topics(self.wire.root)
        self.edges = [Edge(self.wire.bus(name), name) for name in ("edge-1", "edge-2")]
        self.spy = self.wire.bus("spy")
        self.offers = Inbox(self.spy)

    async def open(self) -> None:
        await settled(self.spy)
        await self.spy.subscribe(self.topics.memory_offers("+"), self.offers.take)
        for edge in self.edges:
            await edge.open(self.topics)

    async def offer(self, payload: bytes) -> None:
        await self.spy.publish(self.topics.memory_offers("edge-9"), payload)

    async def close(self) -> None:
        for edge in self.edges:
            await edge.close()
        await self.wire.close()


@pytest.fixture
async def site() -> AsyncIterator[Site]:
    made = Site()
    await made.open()
    yield made
    await made.close()


def stable(**changes: Any) -> Entry:
    memory = small_memory()
    for _ in range(2):
        learn(memory, RIVER, "Ida Holm", NOW_S - 100, model="cloud", version="v1")
    return msgspec.structs.replace(memory.entries[1], **changes)


async def test_what_was_confirmed_is_taken_in_and_answers_after_one_more_answer(site: Site) -> None:
    first, second = site.edges
    await first.hears()
    assert not site.offers.messages
    await first.hears()
    await eventually(lambda: bool(second.memory.entries), "an entry from the other edge")

    (taken,) = second.memory.entries.values()
    assert (taken.answer, taken.model, taken.version) == ("Ida Holm", "cloud", "v1")
    assert (taken.state, taken.said) == ("fresh", {})
    assert await first.answers()
    assert not await second.answers()
    await second.hears()
    assert await second.answers()


async def test_nobody_is_told_twice_and_what_comes_back_is_known(site: Site) -> None:
    first, second = site.edges
    for _ in range(4):
        await first.hears()
    await eventually(lambda: bool(second.memory.entries), "an entry from the other edge")
    for _ in range(3):
        await second.hears()
    await eventually(lambda: len(site.offers.messages) == 2, "the second's own offer")

    (entry,) = first.memory.entries.values()
    assert list(entry.said) == ["ida holm"]
    assert len(second.memory.entries) == 1


async def test_an_answer_that_says_otherwise_counts_against_what_is_taken_in(site: Site) -> None:
    first, second = site.edges
    await second.hears("Lars Berg")
    for _ in range(2):
        await first.hears()
    await eventually(lambda: second.memory.entries[1].state == "quarantined", "a conflict")


async def test_what_a_model_of_before_said_has_no_say_in_what_is_offered(site: Site) -> None:
    edge = site.edges[0]
    learn(edge.memory, RIVER, "Lars Berg", NOW_S - 200, version="v0")
    await site.offer(encode_offer(stable()))
    await eventually(lambda: len(edge.memory.entries) == 2, "an entry of its own")

    assert [entry.state for entry in edge.memory.entries.values()] == ["fresh", "fresh"]


@pytest.mark.parametrize(
    "changes",
    [
        {"wordings": [RIVER, "Is 4111 1111 1111 1111 a card?"]},
        {"created_s": 1.0},
        {"version": "v0"},
        {"task": "tag"},
        {"expires_s": NOW_S - 1},
        {"answer": "I'm sorry, I cannot help with that"},
    ],
)
async def test_what_would_not_count_here_is_not_taken(site: Site, changes: dict[str, Any]) -> None:
    edge = site.edges[0]
    edge.memory.begin_epoch(100.0)
    await site.offer(encode_offer(stable(**changes)))
    await site.offer(encode_offer(stable(wordings=["Who wrote Night Ferry?"])))
    await eventually(lambda: bool(edge.memory.entries), "the one that counts")

    assert [entry.question for entry in edge.memory.entries.values()] == ["Who wrote Night Ferry?"]


@pytest.mark.parametrize("payload", [b"", b"[]", b"\xff", b'{"task":"generate"}', b"x" * 70_000])
async def test_what_is_no_offer_costs_a_line_and_the_next_is_taken(
    site: Site, payload: bytes
) -> None:
    await site.offer(payload)
    await site.offer(encode_offer(stable()))
    await eventually(lambda: all(edge.memory.entries for edge in site.edges), "an entry")


async def test_what_belongs_to_a_device_is_offered_to_nobody(site: Site) -> None:
    for _ in range(3):
        await site.edges[0].hears(owner="device-1")
        await site.edges[0].hears(owner="device-1#0123456789abcdef")
    for _ in range(2):
        await site.edges[0].hears(owner="#0123456789abcdef")
    await eventually(lambda: bool(site.edges[1].memory.entries), "what belongs to all")

    (offer,) = site.offers.messages
    assert decode_offer(offer.payload).options == "#0123456789abcdef"


async def test_an_edge_that_does_not_share_says_nothing() -> None:
    edge = Edge(MemoryWire().bus("edge-1"), "edge-1", share=False)
    asked = LookUp(Request("generate", RIVER), "", ("v1",))
    for _ in range(3):
        given = FromAbove(asked, "Ida Holm", "cloud", "v1", "")
        assert (await edge.worker.do(edge.worker.learn, given)).offer == b""
    await edge.close()


def test_an_offer_is_read_as_it_was_written_and_is_never_from_the_future() -> None:
    offer = decode_offer(encode_offer(stable()))

    assert offer.entry(NOW_S).created_s == NOW_S - 100
    assert offer.entry(NOW_S - 200).created_s == NOW_S - 200
    assert not encode_offer(stable(owner="device-1"))
    with pytest.raises(MalformedMessage, match=f"exceeds {OFFER_BYTES}"):
        decode_offer(b"x" * (OFFER_BYTES + 1))


def test_sharing_what_each_device_has_for_itself_is_refused() -> None:
    file = ROOT / "configs" / "edge-memory.yaml"
    with pytest.raises(SettingsError, match=r"memory\.share offers entries"):
        load(EdgeSettings, file, flags=["memory.share=true", "memory.owners=apart"])


def test_an_entry_that_nobody_would_read_is_not_offered() -> None:
    longest = "\N{SNOWMAN}" * 7_990
    wordings = [f"{RIVER} {place}" for place in range(4)]

    assert decode_offer(encode_offer(stable(wordings=wordings, answer=longest)))
    assert encode_offer(stable(wordings=[*wordings, longest], answer=longest[:7_900])) != b""
    assert encode_offer(stable(wordings=[longest, longest], answer=longest)) == b""
