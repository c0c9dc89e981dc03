"""Rounds of jobs on real agents: all are answered and learned from, and models are placed."""

from __future__ import annotations

import asyncio
import contextlib
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any
from uuid import UUID, uuid4

import msgspec
import pytest

from cloud_agent.center.app import Center
from cloud_agent.center.catalogue.file import MeasuredGrade, read_catalogue, write_catalogue
from cloud_agent.center.placement.jobs import FleetJob
from cloud_agent.center.placement.preferences import Weighted
from cloud_agent.center.rounds.ledger import PostedJob
from cloud_agent.center.rounds.settings import RoundSettings
from cloud_agent.center.rounds.task_rounds import TaskRounds
from cloud_agent.center.settings import CenterPart, CenterSettings
from shared.agent.run import serving
from shared.bus.mqtt.settings import MqttSettings
from shared.errors import DataError, SettingsError
from shared.membership.status import decode_status
from shared.messages import Failure, Result
from shared.runtimes import ModelSettings
from shared.runtimes.bundle import Bundle
from shared.settings.file import load
from shared.telemetry.metrics import Metrics
from shared.wire.codec import encode_result
from shared.wire.control import NodeReport, decode_word
from shared.wire.topics import Topics
from tests.support.cascades import cloud_settings
from tests.support.job_rounds import BUNDLES, write_jobs, write_measured
from tests.support.wires import CONNECT_S, Inbox, Wire, eventually, settled

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Sequence

    from cloud_agent.center.rounds.ledger import JobEntry
    from shared.agent.build import AgentParts
    from shared.bus import Message


def rounds(folder: Path, **given: Any) -> RoundSettings:
    fields: dict[str, Any] = {
        "jobs": str(write_jobs(folder / "jobs.jsonl")),
        "catalogue": str(write_measured(folder / "catalogue.json")),
        "mode": "barrier",
        "every_s": 0.05,
        "batch": 6,
        "rounds": 6,
        "task_rounds_per_placement": 2,
        **given,
    }
    return RoundSettings(**fields)


@contextlib.asynccontextmanager
async def centre(wire: Wire, settings: RoundSettings) -> AsyncIterator[Center]:
    part = CenterPart(telemetry_s=0.2, lease_s=2.0, rounds=settings)
    async with Center.open(part, MqttSettings(root=wire.root), wire.bus) as center:
        yield center


@contextlib.asynccontextmanager
async def agents(wire: Wire, **sources: str) -> AsyncIterator[dict[str, AgentParts]]:
    """Agents of one tier by name, each with a bundle of the demo."""
    async with contextlib.AsyncExitStack() as stack:
        parts = {}
        for name, tier in sources.items():
            model = ModelSettings(source=str(BUNDLES[tier]))
            settings = cloud_settings(wire, name, model=model)
            serve = serving(settings, connect=wire.connect, metrics=Metrics())
            parts[name] = await stack.enter_async_context(serve)
            await parts[name].bus.wait_connected(CONNECT_S)
        yield parts


def running(center: Center) -> TaskRounds:
    assert center.rounds is not None
    return center.rounds


def told(center: Center, kind: str) -> list[dict[str, Any]]:
    return [event.data for event in center.events.after(0) if event.kind == kind]


async def test_every_job_of_every_round_is_answered_graded_and_learned_from(
    wire: Wire, tmp_path: Path
) -> None:
    async with (
        agents(wire, small="device", large="edge"),
        centre(wire, rounds(tmp_path)) as center,
    ):
        await eventually(running(center).finished.is_set, "the end of the last round")

        counts = running(center).ledger.counts
        assert (counts.came, counts.answered, counts.open) == (36, 36, 0)
        found = told(center, "round")
        assert [each["round"] for each in found] == [1, 2, 3, 4, 5, 6]
        assert sum(sum(each["by_node"].values()) for each in found) == 36
        assert all(0.5 <= each["grade"] <= 1.0 for each in found)
        digests = [Bundle.open(folder).digest for folder in BUNDLES.values()]
        beliefs = [running(center).beliefs.quality(digest, "label") for digest in digests]
        learned = sum(belief.alpha + belief.beta - 6.0 for belief in beliefs)
        assert learned == pytest.approx(36.0, rel=0.05)
        decisions = running(center).decisions.latest
        assert len(decisions) == 36
        assert {weighed.node for weighed in decisions[-1].weighed} == {"small", "large"}
        assert set(decisions[-1].others) == {"round-robin", "shortest-queue", "greedy"}
        least = min(decisions[-1].weighed, key=lambda each: -each.pragmatic - each.epistemic)
        assert decisions[-1].chosen == least.node


async def test_a_placement_comes_after_every_so_many_rounds_and_its_plan_is_kept(
    wire: Wire, tmp_path: Path
) -> None:
    async with agents(wire, small="device"), centre(wire, rounds(tmp_path)) as center:
        await eventually(running(center).finished.is_set, "the end of the last round")
        assert [plan["round"] for plan in told(center, "plan")] == [2, 4, 6]
        last = told(center, "plan")[-1]
        assert set(last["models"]) == {"small"}
        [speed] = last["beliefs"]["speed"]
        assert speed["node"] == "small"
        assert speed["low"] < speed["mean"] < speed["high"]
        assert {each["kind"] for each in last["beliefs"]["quality"]} == {"label"}

        late = await settled(wire.bus("late"))
        inbox = Inbox(late)
        await late.subscribe(Topics(wire.root).plan, inbox.take)
        assert msgspec.json.decode((await inbox.next()).payload) == last


async def test_the_bus_tells_twenty_rounds_and_then_one_plan_and_has_kept_the_whole_fleet(
    wire: Wire, tmp_path: Path
) -> None:
    topics, told, kept = Topics(wire.root), [], dict[str, bytes]()
    onlooker, late = await settled(wire.bus("onlooker")), await settled(wire.bus("late"))

    def hear(message: Message) -> None:
        onlooker.acknowledge(message)
        told.append((message.topic, msgspec.json.decode(message.payload)["round"]))

    def keep(message: Message) -> None:
        late.acknowledge(message)
        if message.retained:
            kept[message.topic] = message.payload

    await onlooker.subscribe(topics.rounds, hear)
    await onlooker.subscribe(topics.plan, hear)
    settings = rounds(tmp_path, rounds=41, batch=1, task_rounds_per_placement=20)
    async with agents(wire, small="device", large="edge"), centre(wire, settings) as center:
        await eventually(running(center).finished.is_set, "the end of the last round", 30.0)
        await eventually(lambda: len(told) == 43, "all of it")
        first, last = range(1, 21), range(21, 41)
        assert told == [
            *((topics.rounds, number) for number in first), (topics.plan, 20),
            *((topics.rounds, number) for number in last), (topics.plan, 40),
            (topics.rounds, 41),
        ]  # fmt: skip

        for topic in (topics.statuses, topics.control("+", "report"), topics.plan):
            await late.subscribe(topic, keep)
        await eventually(lambda: len(kept) == 5, "two statuses, two reports and the plan")
        plan = msgspec.json.decode(kept[topics.plan])
        assert (plan["round"], set(plan["models"])) == (40, {"small", "large"})
        for member in center.registry:
            status = decode_status(kept[topics.status("cloud", member.name)])
            report = decode_word(NodeReport, kept[topics.control(member.name, "report")])
            assert (status.state, status.boot) == ("online", report.boot)
            assert report == member.report
            assert plan["models"][member.name].startswith(status.bundle)


async def test_a_plan_is_carried_out_by_whoever_can_ship_models(wire: Wire, tmp_path: Path) -> None:
    """An agent with the small bundle is to get the large one, which is better by far."""
    assigned: list[tuple[list[str], str]] = []

    async def assign(names: Sequence[str], digest: str, reason: str) -> None:
        assert reason.startswith("placement after round 2: worth +")
        assigned.append((list(names), digest))

    large = Bundle.open(BUNDLES["edge"]).digest
    settings = rounds(tmp_path, rounds=2, batch=2)
    graded = read_catalogue(Path(settings.catalogue))
    for model in graded.models:
        good = MeasuredGrade(0.99 if model.digest == large else 0.3, 100, "made up")
        graded = graded.with_model(msgspec.structs.replace(model, grades={"label": good}))
    write_catalogue(Path(settings.catalogue), graded)
    part = CenterPart(telemetry_s=0.2, lease_s=30.0)
    mqtt = MqttSettings(root=wire.root)
    async with agents(wire, small="device"), Center.open(part, mqtt, wire.bus) as center:
        await eventually(lambda: center.registry.count("alive") == 1, "an agent")
        played = TaskRounds(
            part.name, settings, center.bus, center.topics, center.registry, center.events,
            assign, lambda: [large],
        )  # fmt: skip
        await played.start()
        playing = asyncio.ensure_future(played.run())
        await eventually(played.finished.is_set, "the end of the last round")
        playing.cancel()
    assert assigned == [(["small"], large)]


async def test_what_a_killed_agent_has_is_answered_by_another(wire: Wire, tmp_path: Path) -> None:
    settings = rounds(tmp_path, batch=40, rounds=3, patience_s=0.5)
    async with (
        agents(wire, one="edge", other="edge") as parts,
        centre(wire, settings) as center,
    ):
        ledger = running(center).ledger
        await eventually(lambda: any(True for _ in ledger.out()), "jobs that are out")
        wire.kill(parts["one"].bus)
        await eventually(running(center).finished.is_set, "the end of the last round")
        counts = ledger.counts
        assert (counts.came, counts.answered, counts.open) == (120, 120, 0)


async def test_jobs_that_nobody_can_answer_end_when_their_time_is_over(
    wire: Wire, tmp_path: Path
) -> None:
    settings = rounds(tmp_path, rounds=1, preference=Weighted(limit_s=0.4))
    async with centre(wire, settings) as center:
        await eventually(running(center).finished.is_set, "the end of the round")
        counts = running(center).ledger.counts
        assert (counts.came, counts.unanswered, counts.open) == (6, 6, 0)
        assert told(center, "round")[0]["unanswered"] == 6


async def test_streaming_rounds_do_not_wait_for_each_other(wire: Wire, tmp_path: Path) -> None:
    settings = rounds(tmp_path, mode="streaming", rounds=4, preference=Weighted(limit_s=0.6))
    async with centre(wire, settings) as center:
        await eventually(lambda: running(center).round == 4, "four rounds that nobody answers")
        assert running(center).ledger.counts.open > 6
        await eventually(running(center).finished.is_set, "the end of all")
        assert running(center).ledger.counts.unanswered == 24


async def test_a_late_failure_leaves_a_job_with_whoever_has_it_now(
    wire: Wire, tmp_path: Path
) -> None:
    """An earlier node's failure, which does not say whose it is, comes while another is at work."""
    part = CenterPart(telemetry_s=0.2, lease_s=30.0)
    async with Center.open(part, MqttSettings(root=wire.root), wire.bus) as center:
        played = TaskRounds(
            part.name, rounds(tmp_path), center.bus, center.topics, center.registry, center.events
        )
        await center.bus.wait_connected(CONNECT_S)
        await played.start()
        job = FleetJob(uuid4().hex, "label", time.monotonic() + CONNECT_S)
        played.ledger.add(job, PostedJob("label", "a remark", ("positive",)), 1, time.monotonic())
        played.ledger.give(job.id, "slow", time.monotonic(), 0.0)
        played.ledger.take_back(job.id, owing=True)
        entry = played.ledger.give(job.id, "quick", time.monotonic(), CONNECT_S)
        slow = await settled(wire.bus("slow"))
        failed = Result(UUID(job.id), Failure("model-failed", "out of memory"))
        topic = Topics(wire.root).results(part.name)

        await slow.publish(topic, encode_result(failed, known_hops=0))
        await eventually(lambda: not entry.owing, "the failure")
        assert entry.node == "quick"
        await slow.publish(topic, encode_result(failed, known_hops=0))
        await eventually(lambda: entry.tried == ("slow", "quick"), "the next one's own failure")


@pytest.mark.parametrize("kind", ["oracle", "dqn"])
def test_an_allocator_that_is_for_simulations_is_refused(tmp_path: Path, kind: str) -> None:
    settings = tmp_path / "center.yaml"
    settings.write_text(
        f"rounds: {{jobs: j, catalogue: c, allocator: {{kind: {kind}}}}}\n", encoding="utf-8"
    )
    with pytest.raises(SettingsError, match=rf"rounds\.allocator.*'{kind}'"):
        load(CenterSettings, settings)


async def test_a_centre_without_its_catalogue_says_so(wire: Wire, tmp_path: Path) -> None:
    settings = msgspec.structs.replace(rounds(tmp_path), catalogue=str(tmp_path / "none.json"))
    with pytest.raises(DataError, match=r"none\.json"):
        async with centre(wire, settings):
            pass


async def test_what_breaks_the_keeping_of_jobs_ends_the_rounds_and_is_told(
    wire: Wire, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    part = CenterPart(telemetry_s=0.2, lease_s=30.0)
    async with Center.open(part, MqttSettings(root=wire.root), wire.bus) as center:
        played = TaskRounds(
            part.name, rounds(tmp_path), center.bus, center.topics, center.registry, center.events
        )

        def broken(now_s: float) -> list[JobEntry]:
            raise ZeroDivisionError(now_s)

        monkeypatch.setattr(played.ledger, "overdue", broken)
        with pytest.raises(ZeroDivisionError):
            await asyncio.wait_for(played.run(), CONNECT_S)
