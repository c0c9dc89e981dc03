"""What an edge makes of its trainer's words: of each lesson its own, however long they take."""

from __future__ import annotations

import asyncio
import contextlib
from typing import TYPE_CHECKING, Any

import pytest

from edge_agent.nights import elsewhere
from edge_agent.nights.elsewhere import TrainerElsewhere
from edge_agent.nights.folder import NightFolder, NightOrder, NightOutcome
from edge_agent.nights.settings import NightSettings
from shared.nodes.exchange import FileExchange
from shared.nodes.lesson_folder import LessonFolder
from shared.runtimes import ModelSettings
from shared.wire.nights import (
    LessonState,
    LetGo,
    NightLesson,
    decode_night,
    encode_night,
    lesson_digest,
)
from shared.wire.topics import Topics
from tests.support.lessons import make_lesson
from tests.support.shipped import shipped, store_of
from tests.support.wires import Inbox, MemoryWire, settled

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from shared.bus import Bus

AGAIN_S = 0.2


class SilentTrainer:
    """Has a model for every night, whose one file says which, and says what a test has it say."""

    def __init__(self, bus: Bus, topics: Topics, folder: Path) -> None:
        self.lessons = Inbox(bus)
        self.let_go = Inbox(bus)
        self._bus, self._topics = bus, topics
        store = store_of(folder, *(_model(night) for night in range(9)))
        self.files = FileExchange(bus, topics, store, "cloud-1", "edge-1")

    async def lesson(self, night: int) -> NightLesson:
        """Return the lesson of a night once it comes, perhaps again."""
        while True:
            lesson = decode_night(NightLesson, (await self.lessons.next(30.0)).payload)
            if lesson.night == night:
                return lesson

    async def say_taught(self, lesson: NightLesson, times: int = 1) -> None:
        files = shipped({"model": _model(lesson.night)}).files
        word = LessonState(
            night=lesson.night, lesson=lesson_digest(lesson), stage="taught", bundle=files
        )
        for _ in range(times):
            await self._bus.publish(
                self._topics.night("cloud-1", "edge-1", "taught"), encode_night(word)
            )


class WrittenNights:
    """Nights whose own process is not begun: what it would write, a test does."""

    def __init__(
        self, nights: NightFolder, trainer: SilentTrainer, teaching: TrainerElsewhere
    ) -> None:
        self.nights = nights
        self.trainer = trainer
        self._teaching = teaching

    async def hold(self, number: int, **settings: Any) -> NightOutcome:
        folder = LessonFolder(self.nights.of(number))
        self.nights.write_order(
            NightOrder(
                number=number,
                day="2026-03-02",
                ordered_s=1.0,
                memory="",
                model=ModelSettings(source="nowhere"),
                own="",
                warm=0,
                night=NightSettings(base="base", trainer="cloud-1", **settings),
            )
        )
        folder.write(make_lesson("a" * 64, night=number))
        return await self._teaching.train(self.nights, number)

    def model(self, number: int) -> bytes:
        """Return the model that came."""
        return (self.nights.bundle(number) / "model").read_bytes()


def _model(night: int) -> bytes:
    return f"the model of night {night}".encode() * 100_000


async def _examine(nights: NightFolder, number: int) -> NightOutcome | None:
    """Stand for the edge's own process: it has nothing to say until a model is there."""
    there = nights.bundle(number).exists()
    return NightOutcome(number=number, verdict="passed") if there else None


@contextlib.asynccontextmanager
async def taught(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[WrittenNights]:
    monkeypatch.setattr(elsewhere, "held", _examine)
    wire = MemoryWire()
    topics = Topics(wire.root)
    edge, cloud = await settled(wire.bus("edge-1")), await settled(wire.bus("cloud-1"))
    trainer = SilentTrainer(cloud, topics, tmp_path / "trainer")
    await cloud.subscribe(topics.night("edge-1", "cloud-1", "lesson"), trainer.lessons.take)
    await cloud.subscribe(topics.night("edge-1", "cloud-1", "let-go"), trainer.let_go.take)
    nights = NightFolder(tmp_path / "edge")
    teaching = TrainerElsewhere(nights, "cloud-1", again_s=AGAIN_S)
    async with teaching.reached(edge, topics, "edge-1"):
        yield WrittenNights(nights, trainer, teaching)
    trainer.files.stop()
    await wire.close()


async def test_what_is_said_again_of_one_lesson_is_not_taken_for_the_next(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with taught(tmp_path, monkeypatch) as nights:
        await nights.trainer.files.start()
        for number in (1, 2):
            night = asyncio.create_task(nights.hold(number))
            await nights.trainer.say_taught(await nights.trainer.lesson(number), times=2)
            assert (await night).verdict == "passed"

        assert [nights.model(number) for number in (1, 2)] == [_model(1), _model(2)]


@pytest.mark.slow
async def test_a_trainer_that_goes_away_with_its_model_is_waited_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with taught(tmp_path, monkeypatch) as nights:
        night = asyncio.create_task(nights.hold(1))
        lesson = await nights.trainer.lesson(1)
        await nights.trainer.say_taught(lesson)
        assert await nights.trainer.lesson(1) == lesson  # nobody gave the model
        await nights.trainer.files.start()
        await nights.trainer.say_taught(lesson)

        assert (await night).verdict == "passed"
        assert nights.model(1) == _model(1)


async def test_a_model_larger_than_may_come_is_not_brought(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with taught(tmp_path, monkeypatch) as nights:
        await nights.trainer.files.start()
        night = asyncio.create_task(nights.hold(1, taught_megabytes=1))
        lesson = await nights.trainer.lesson(1)
        await nights.trainer.say_taught(lesson)

        outcome = await night
        assert outcome.verdict == "failed"
        assert outcome.why == (
            f"the files that cloud-1 made have {len(_model(1))} bytes, and "
            "memory.night.taught_megabytes is 1"
        )
        let_go = decode_night(LetGo, (await nights.trainer.let_go.next()).payload)
        assert let_go.lesson == lesson_digest(lesson)
