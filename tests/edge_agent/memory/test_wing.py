"""An edge with a memory, between a device and a cloud on one wire, and an embedder made here."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING
from uuid import UUID

import pytest
from msgspec import structs

from device_agent.api.schema import write_answer
from edge_agent.memory.days import report
from edge_agent.settings import EdgeSettings
from shared.agent.settings import TierSettings
from shared.cascade.policies import RecallRule
from shared.errors import SettingsError
from shared.messages import Provenance
from shared.settings.file import load
from shared.tasks import Request
from shared.tasks.classify import Label
from shared.wire.codec import decode_prompt
from shared.wire.topics import Topics
from tests.support.cascades import cascade
from tests.support.processes import ROOT
from tests.support.remembering_tiers import QUESTION, Tiers, settings
from tests.support.wires import MemoryWire, eventually, settled

if TYPE_CHECKING:
    from pathlib import Path

    from shared.bus import Message


OTHER = "Is the film Glass Tower from 1987 good?"


async def test_a_question_asked_twice_goes_up_once(embedder: str) -> None:
    async with cascade(MemoryWire()) as cascaded:
        tiers = Tiers(cascaded, settings(embedder))
        await tiers.start()
        first, second = await tiers.ask(QUESTION), await tiers.ask(QUESTION)

        assert (first, second) == ((Label("cloud-1"), "cloud"), (Label("cloud-1"), "edge"))
        assert tiers.cloud.seen == [QUESTION]
        assert tiers.edge.seen == [QUESTION]


async def test_what_the_model_does_not_know_after_all_is_remembered_again(
    embedder: str,
) -> None:
    async with cascade(MemoryWire()) as cascaded:
        tiers = Tiers(cascaded, settings(embedder))
        await tiers.start()
        await tiers.ask(QUESTION)
        (entry,) = tiers.memory.entries.values()
        tiers.memory.internalise(entry, "night-1", 1.0)
        assert tiers.memory.ghosts
        assert await tiers.ask(QUESTION) == (Label("cloud-1"), "cloud")

        assert not tiers.memory.ghosts
        assert list(tiers.memory.entries) == [entry.id]
        assert await tiers.ask(QUESTION) == (Label("cloud-1"), "edge")


async def test_whoever_asks_the_device_is_told_where_an_answer_comes_from(embedder: str) -> None:
    async with cascade(MemoryWire()) as cascaded:
        tiers = Tiers(cascaded, settings(embedder))
        await tiers.start()
        tier = structs.replace(tiers.device.settings.tier, beyond=("cloud",))
        device = await cascaded.device(agent="device-2", tier=tier)
        first, second = await device.ask(QUESTION), await device.ask(QUESTION)
        third = await device.ask("hard")

    said = [write_answer(each, echo=None, elapsed_s=0.0) for each in (first, second, third)]
    cloud = {"model": "cloud-1", "version": "cloud-1"}
    assert [(each["tier"], each["source"], each["confidence_kind"]) for each in said] == [
        ("cloud", {"way": "model", "model": "cloud-1"}, "max_probability"),
        ("edge", {"way": "memory", "entries": [1]} | cloud, "remembered"),
        ("edge", {"way": "model", "model": "edge-1"}, "max_probability"),
    ]


async def test_the_report_of_a_day_is_what_was_on_the_wire(embedder: str) -> None:
    wire = MemoryWire()
    topics = Topics(wire.root)
    spy, heard = wire.bus("spy"), set[tuple[str, UUID]]()

    def hear(message: Message) -> None:
        spy.acknowledge(message)
        address = topics.read_prompt(message.topic)
        # Whoever waits too long asks again: a prompt counts once.
        heard.add((address.agent, decode_prompt(message.payload, address, now_s=0.0).id))

    await settled(spy)
    for agent in ("edge-1", "cloud-1"):
        await spy.subscribe(topics.prompts(agent), hear)
    async with cascade(wire) as cascaded:
        tiers = Tiers(cascaded, settings(embedder))
        await tiers.start()
        years = [f"Is the film Glass River from {1900 + n % 4} good?" for n in range(20)]
        for text in ("hard", *years):
            await tiers.ask(text)
        days = report(tiers.memory.days.all())

    told = {name: sum(day[name] for day in days) for name in ("questions", "cloud_calls")}
    to = [agent for agent, _ in heard]
    assert told["questions"] == to.count("edge-1") == 21
    assert told["cloud_calls"] == to.count("cloud-1") == len(tiers.cloud.seen) == 4
    ways = {way: sum(day["ways"][way] for day in days) for way in days[0]["ways"]}
    assert ways == {"memory": 16, "examples": 0, "model": 1, "cloud": 4}


async def test_where_an_answer_comes_from_is_said(embedder: str) -> None:
    async with cascade(MemoryWire()) as cascaded:
        tiers = Tiers(cascaded, settings(embedder))
        await tiers.start()
        await tiers.ask(QUESTION)
        known = await tiers.tiers.parts["edge-1"].station.solver.solve(
            Request("classify", QUESTION), deadline_s=time.monotonic() + 10
        )

        assert known.source == Provenance("memory", "cloud-1", "cloud-1", (1,))
        assert (known.confidence_kind, str(known.source)) == (
            "remembered",
            "memory entry 1 of cloud-1 cloud-1",
        )
        assert tiers.edge.seen == [QUESTION]


@pytest.mark.parametrize(
    "other",
    [
        "Is the film Glass Tower from 1987 good?",
        "Is the film Glass River from 1988 good?",
        "Is the film Glass River from 1987 not good?",
    ],
)
async def test_a_question_nearly_the_same_goes_up_all_the_same(embedder: str, other: str) -> None:
    async with cascade(MemoryWire()) as cascaded:
        tiers = Tiers(cascaded, settings(embedder))
        await tiers.start()
        await tiers.ask(QUESTION)

        assert (await tiers.ask(other))[1] == "cloud"


async def test_an_answer_that_is_contradicted_is_given_no_more(embedder: str) -> None:
    async with cascade(MemoryWire()) as cascaded:
        tiers = Tiers(cascaded, settings(embedder, check_share=1.0))
        await tiers.start()
        await tiers.ask(QUESTION)
        tiers.cloud.answers[QUESTION] = Label("another")
        checked = await tiers.ask(QUESTION)
        assert tiers.edge.seen == [QUESTION]
        wing = tiers.tiers.parts["edge-1"].station.solver._wing  # type: ignore[attr-defined]

        assert checked == (Label("another"), "cloud")
        assert tiers.memory.entries[1].state == "quarantined"
        assert (wing.checks.right, wing.checks.wrong) == (0, 1)
        await tiers.ask(QUESTION)
        assert tiers.edge.seen == [QUESTION, QUESTION]


async def test_the_policy_recall_keeps_a_remembered_answer_once_it_has_proved_itself(
    embedder: str,
) -> None:
    tier = TierSettings(name="edge", policy=RecallRule(), upstream="cloud")
    async with cascade(MemoryWire()) as cascaded:
        tiers = Tiers(cascaded, settings(embedder))
        await tiers.start(tier=tier)
        await tiers.ask(QUESTION)
        asked = [(await tiers.ask(QUESTION))[1] for _ in range(60)]
        figures = cascaded.parts["edge-1"].station.tier.report("classify")

        assert asked[0] == "cloud"
        assert asked[-1] == "edge"
        assert asked == sorted(asked)  # from the cloud to the edge, and not back
        assert figures["memory_comparisons"] == asked.count("cloud")
        assert tiers.edge.seen == [QUESTION]


async def test_answers_of_a_model_that_is_gone_are_given_no_more(embedder: str) -> None:
    async with cascade(MemoryWire()) as cascaded:
        tiers = Tiers(cascaded, settings(embedder))
        await tiers.start()
        await tiers.ask(QUESTION)
        announcer = cascaded.parts["cloud-1"].announcer
        announcer.serves("a newer model", "abc123", frozenset({"classify"}))
        above = cascaded.parts["edge-1"].station.above.choice
        await eventually(
            lambda: above.models("classify", time.monotonic()) == {("a newer model", "abc123")},
            "the edge hears of the newer model",
        )

        assert (await tiers.ask(QUESTION))[1] == "cloud"
        assert (await tiers.ask(QUESTION))[1] == "edge"


async def test_it_remembers_after_a_restart(embedder: str, tmp_path: Path) -> None:
    for tier in ("cloud", "edge"):
        async with cascade(MemoryWire()) as cascaded:
            tiers = Tiers(cascaded, settings(embedder, folder=str(tmp_path)))
            await tiers.start()

            assert (await tiers.ask(QUESTION))[1] == tier


async def test_devices_share_nothing_where_the_settings_part_them(embedder: str) -> None:
    async with cascade(MemoryWire()) as cascaded:
        tiers = Tiers(cascaded, settings(embedder, owners="apart"))
        await tiers.start()
        await tiers.ask(QUESTION)
        other = await cascaded.device(agent="device-2")

        assert (await other.ask(QUESTION)).tier == "cloud"
        assert (await tiers.ask(QUESTION))[1] == "edge"


async def test_nothing_personal_is_kept(embedder: str) -> None:
    async with cascade(MemoryWire()) as cascaded:
        tiers = Tiers(cascaded, settings(embedder))
        await tiers.start()
        for _ in range(2):
            assert (await tiers.ask("Is ida.holm@example.org good?"))[1] == "cloud"

        assert tiers.memory.entries == {}


def test_a_memory_without_an_embedder_is_refused_in_one_sentence() -> None:
    fault = "memory.embedder is missing"
    file = ROOT / "configs" / "edge.yaml"
    with pytest.raises(SettingsError, match=fault):
        load(EdgeSettings, file, flags=["memory.entries=5"])


async def test_what_was_answered_without_the_cloud_is_marked_and_asked_again_when_it_is_back(
    embedder: str,
) -> None:
    async with cascade(MemoryWire()) as cascaded:
        tiers = Tiers(cascaded, settings(embedder))
        await tiers.start()
        await tiers.ask(QUESTION)
        cascaded.kill("cloud-1")
        above = cascaded.parts["edge-1"].station.above.choice
        await eventually(
            lambda: not above.models("classify", time.monotonic()), "the edge misses the cloud"
        )
        known, other = await tiers.device.ask(QUESTION), await tiers.device.ask(OTHER)

        assert (known.outcome, known.tier) == (Label("cloud-1"), "edge")
        assert (other.outcome, other.tier) == (Label("edge-1"), "edge")
        assert "no cloud agent took the prompt" in known.degraded
        assert "no cloud agent took the prompt" in other.degraded

        again = await cascaded.cloud("cloud-2")
        await eventually(lambda: set(again.seen) == {QUESTION, OTHER}, "both are asked again")
        await eventually(lambda: tiers.memory.counts["stored"] == 3, "both are learned")
        assert await tiers.ask(OTHER) == (Label("cloud-2"), "edge")
