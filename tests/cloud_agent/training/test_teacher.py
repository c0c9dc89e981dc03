"""What an agent does with lessons, before any of them is trained: taken, kept, refused, deleted."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING, Any

from cloud_agent.training.settings import TrainerSettings
from cloud_agent.training.teacher import Teacher
from shared.nodes.exchange import FileExchange
from shared.wire.nights import LessonState, LetGo, decode_night, encode_night, lesson_digest
from shared.wire.topics import Topics
from tests.support.lessons import make_lesson, write_base
from tests.support.shipped import store_of
from tests.support.wires import Inbox, MemoryWire, eventually, settled

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from shared.bus import Bus
    from shared.wire.nights import NightLesson


class TeachingSite:
    """A trainer, and an edge that gives none of its files, so that its lessons wait."""

    def __init__(self, edge: Bus, topics: Topics, folder: Path) -> None:
        self.folder = folder
        self.inbox = Inbox(edge)
        self._edge = edge
        self._topics = topics

    async def send(self, word: NightLesson | LetGo, *, edge: str = "edge-1") -> None:
        kind = "let-go" if isinstance(word, LetGo) else "lesson"
        await self._edge.publish(self._topics.night(edge, "cloud-1", kind), encode_night(word))  # type: ignore[arg-type] # one of them

    async def told(self, timeout_s: float = 5.0) -> LessonState:
        return decode_night(LessonState, (await self.inbox.next(timeout_s)).payload)

    @contextlib.asynccontextmanager
    async def giving_rows(self, edge: str, rows: bytes) -> AsyncIterator[None]:
        """Have an edge give the rows of its lesson."""
        store = store_of(self.folder.parent / edge, rows)
        exchange = FileExchange(self._edge, self._topics, store, edge, "cloud-1")
        await exchange.start()
        yield
        exchange.stop()

    @property
    def held(self) -> list[Path]:
        return sorted(self.folder.glob("*/lesson.json"))


@contextlib.asynccontextmanager
async def taught_at(tmp_path: Path, wire: MemoryWire, **more: Any) -> AsyncIterator[TeachingSite]:
    base = tmp_path / "base"
    settings = TrainerSettings(bases=(str(base),), lesson_megabytes=1, **more)
    write_base(base)
    topics = Topics(wire.root)
    edge, cloud = await settled(wire.bus("edge-1")), await settled(wire.bus("cloud-1"))
    site = TeachingSite(edge, topics, tmp_path / "lessons")
    await edge.subscribe(topics.night("cloud-1", "+", "taught"), site.inbox.take)
    async with Teacher(settings, site.folder, cloud, topics, "cloud-1", tell_s=0.02).teaching():
        yield site
    await wire.close()


async def test_a_lesson_that_comes_twice_is_one_lesson(tmp_path: Path) -> None:
    lesson = make_lesson(write_base(tmp_path / "base"))
    async with taught_at(tmp_path, MemoryWire()) as site:
        for _ in range(2):
            await site.send(lesson)
            told = await site.told()
            assert (told.lesson, told.night) == (lesson_digest(lesson), lesson.night)
            assert told.stage in ("waits", "fetches")

        assert len(site.held) == 1


async def test_an_edge_that_wants_it_no_more_has_all_of_it_deleted(tmp_path: Path) -> None:
    lesson = make_lesson(write_base(tmp_path / "base"))
    async with taught_at(tmp_path, MemoryWire()) as site:
        await site.send(lesson)
        await site.told()
        await site.send(LetGo(lesson=lesson_digest(lesson)), edge="edge-2")
        await site.send(lesson)
        await site.told()
        assert site.held, "that was another edge's word"
        await site.send(LetGo(lesson=lesson_digest(lesson)))
        await eventually(lambda: not list(site.folder.iterdir()), "nothing to be left")


async def test_another_lesson_of_an_edge_takes_the_place_of_the_one_before(tmp_path: Path) -> None:
    base = write_base(tmp_path / "base")
    async with taught_at(tmp_path, MemoryWire()) as site:
        await site.send(make_lesson(base))
        before = (await site.told()).lesson
        await site.send(make_lesson(base, night=8))
        await eventually(lambda: site.inbox.messages[-1].payload != b"" and len(site.held) == 1)
        while (told := await site.told()).lesson == before:
            pass

        assert told.night == 8
        assert len(list(site.folder.iterdir())) == 1


async def test_what_cannot_be_taught_is_said_in_a_sentence_and_not_kept(tmp_path: Path) -> None:
    base = write_base(tmp_path / "base")
    async with taught_at(tmp_path, MemoryWire()) as site:
        await site.send(make_lesson("a" * 64))
        other = await site.told()
        await site.send(make_lesson(base, size_bytes=3 << 20))
        large = await site.told()

        assert (other.stage, large.stage) == ("failed", "failed")
        assert other.why == (
            f"cloud-1 has no base whose weights are aaaaaaaaaaaa…; those of its trainer.bases are "
            f"{base[:12]}"
        )
        assert large.why == (
            "the files of the lesson have 3145728 bytes, and trainer.lesson_megabytes of cloud-1 "
            "is 1"
        )
        assert site.held == []


async def test_a_lesson_outlives_the_process_and_is_told_of_without_being_asked(
    tmp_path: Path,
) -> None:
    lesson = make_lesson(write_base(tmp_path / "base"))
    async with taught_at(tmp_path, MemoryWire()) as site:
        await site.send(lesson)
        await site.told()
    async with taught_at(tmp_path, MemoryWire()) as site:
        assert (await site.told()).lesson == lesson_digest(lesson)


async def test_an_edge_that_never_comes_back_has_its_lesson_deleted(tmp_path: Path) -> None:
    lesson = make_lesson(write_base(tmp_path / "base"))
    async with taught_at(tmp_path, MemoryWire(), keep_s=0.2) as site:
        await site.send(lesson)
        await site.told()
        await eventually(lambda: not list(site.folder.iterdir()), "nothing to be left")


async def test_what_is_no_word_of_a_night_does_no_harm(tmp_path: Path) -> None:
    lesson = make_lesson(write_base(tmp_path / "base"))
    async with taught_at(tmp_path, MemoryWire()) as site:
        topic = site._topics.night("edge-1", "cloud-1", "lesson")
        for payload in (b"", b"{}", b"[" * 10_000, encode_night(LetGo(lesson="a" * 64))):
            await site._edge.publish(topic, payload)
        await site.send(lesson)

        assert (await site.told()).lesson == lesson_digest(lesson)


async def test_a_lesson_that_breaks_waits_and_the_others_go_on(tmp_path: Path) -> None:
    base, rows = write_base(tmp_path / "base"), bytes(1_000)
    first, second = make_lesson(base), make_lesson(base, night=8)
    async with taught_at(tmp_path, MemoryWire()) as site:
        await site.send(first)
        await site.told()
        (site.held[0].parent / "taught.json").mkdir()  # so that its end cannot be written down
        await site.send(second, edge="edge-2")
        async with site.giving_rows("edge-1", rows), site.giving_rows("edge-2", rows):
            await site.send(first)
            while (told := await site.told(30.0)).stage != "failed":
                pass

        assert told.lesson == lesson_digest(second)
        assert len(site.held) == 2


async def test_the_lessons_of_an_edge_have_folders_of_their_own(tmp_path: Path) -> None:
    """Else a training that outlived its lesson would put its model into the next one."""
    base = write_base(tmp_path / "base")
    async with taught_at(tmp_path, MemoryWire()) as site:
        await site.send(make_lesson(base))
        await site.told()
        (before,) = site.held
        await site.send(make_lesson(base, night=8))
        await eventually(lambda: site.held not in ([], [before]), "the next lesson")


async def test_an_end_that_cannot_be_read_is_no_lesson(tmp_path: Path) -> None:
    lesson = make_lesson(write_base(tmp_path / "base"))
    async with taught_at(tmp_path, MemoryWire()) as site:
        await site.send(lesson)
        await site.told()
        (site.held[0].parent / "taught.json").write_text("{")
    async with taught_at(tmp_path, MemoryWire()) as site:
        assert not list(site.folder.iterdir())
        await site.send(lesson)
        assert (await site.told()).stage == "waits"
