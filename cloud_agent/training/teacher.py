"""Hears the lessons of edges, has them learned one after the other, and tells what came of them.

An edge sends its lesson until it hears of it, and what it hears it may hear again: everything here
may come twice. What a killed process was at, the next one goes on with.
"""

from __future__ import annotations

import asyncio
import contextlib
from typing import TYPE_CHECKING, Final, NamedTuple

from cloud_agent.training.held_lesson import HeldLesson, held_lessons
from cloud_agent.training.learning import describe_taught, fetch_lesson, have_learned
from shared.errors import BundleError, BusError, MalformedMessage, RecServeError, cut
from shared.nodes.exchange import FileExchange
from shared.runtimes.weights import weights_digest
from shared.supervision import Supervised
from shared.telemetry.log import get_logger
from shared.wire.control import DETAIL_CHARACTERS
from shared.wire.nights import (
    LessonState,
    LetGo,
    NightLesson,
    decode_night,
    encode_night,
    lesson_digest,
)

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable
    from pathlib import Path

    from cloud_agent.training.settings import TrainerSettings
    from shared.bus import Bus, Message
    from shared.nodes.store import BundleStore
    from shared.wire.topics import Topics

_log = get_logger()
TELL_S: Final = 5.0
"""Between two words on the lesson at work."""
_ALL_TELLS: Final = 12
"""Of the others every so many times: an edge that wants one no more says so then."""
_SHOWN_DIGITS: Final = 12
_HIDDEN_S: Final = 1.0


class _Bench(NamedTuple):
    """A lesson, and what its files go through."""

    held: HeldLesson
    store: BundleStore
    exchange: FileExchange


class Teacher:
    """Trains models of edges on one agent."""

    def __init__(
        self,
        settings: TrainerSettings,
        folder: Path,
        bus: Bus,
        topics: Topics,
        agent: str,
        *,
        busy: Callable[[], bool] = lambda: False,
        tell_s: float = TELL_S,
    ) -> None:
        """Keep lessons in a folder; files come slowly while the agent is ``busy``."""
        self._settings = settings
        self._folder = folder
        self._bus = bus
        self._topics = topics
        self._agent = agent
        self._busy = busy
        self._tell_s = tell_s
        self._bases: dict[str, str] = {}
        self._benches: dict[str, _Bench] = {}
        self._heard: asyncio.Queue[tuple[str, NightLesson | LetGo]] = asyncio.Queue()
        self._changed = asyncio.Event()
        self._at_work: tuple[HeldLesson, asyncio.Task[None]] | None = None

    @contextlib.asynccontextmanager
    async def teaching(self) -> AsyncIterator[None]:
        """Teach for as long as the context lasts.

        Raises ``BundleError`` for a base that is none.
        """
        self._bases = await asyncio.to_thread(self._read_bases)
        async with contextlib.AsyncExitStack() as leaving:
            for held in await asyncio.to_thread(held_lessons, self._folder):
                await self._seat(held)
            leaving.callback(self._leave)
            for kind in ("lesson", "let-go"):
                await self._bus.subscribe(
                    self._topics.night("+", self._agent, kind), self._hear, refused=_note
                )
            for name, run in (
                ("lessons heard", self._answer),
                ("lessons told", self._tell_of_all),
                ("lessons taught", self._work),
            ):
                leaving.push_async_callback(Supervised(name, run).stop)
            _log.info("trains the models of edges", bases=self._bases)
            yield

    def _read_bases(self) -> dict[str, str]:
        return {weights_digest(base): base for base in self._settings.bases}

    def _leave(self) -> None:
        for bench in self._benches.values():
            bench.exchange.stop()
            bench.store.close()

    # -- hearing ---------------------------------------------------------------------------------

    def _hear(self, message: Message) -> None:
        self._bus.acknowledge(message)
        if message.retained:  # one that was let go of would come again
            return
        try:
            address = self._topics.read_night(message.topic)
            word = (
                decode_night(NightLesson, message.payload)
                if address.kind == "lesson"
                else decode_night(LetGo, message.payload)
            )
        except MalformedMessage as error:
            _log.warning("word of a night refused", topic=message.topic, reason=str(error))
            return
        self._heard.put_nowait((address.writer, word))

    async def _answer(self) -> None:
        while True:
            edge, word = await self._heard.get()
            try:
                if isinstance(word, NightLesson):
                    await self._take(edge, word)
                elif (bench := self._benches.get(edge)) and bench.held.digest == word.lesson:
                    await self._drop(bench, "its edge wants it no more")
            except (RecServeError, OSError) as error:
                _log.error("a lesson cannot be kept", edge=edge, reason=str(error))

    async def _take(self, edge: str, lesson: NightLesson) -> None:
        """Hold a lesson, in place of an earlier one of its edge, and tell how far it is."""
        bench = self._benches.get(edge)
        if bench is not None and bench.held.digest != lesson_digest(lesson):
            await self._drop(bench, "its edge has another one")
            bench = None
        if bench is None:
            if why := self._why_not(lesson):
                await self._say(edge, self._failed(lesson, why))
                return
            held = await asyncio.to_thread(HeldLesson.begin, self._folder, edge, lesson)
            bench = await self._seat(held)
            _log.info("lesson taken", edge=edge, night=lesson.night)
        bench.held.hear()
        self._changed.set()
        await self._tell(bench.held)

    def _why_not(self, lesson: NightLesson) -> str:
        """Return why a lesson cannot be taught here; empty if it can."""
        if lesson.base not in self._bases:
            has = ", ".join(digest[:_SHOWN_DIGITS] for digest in self._bases)
            return (
                f"{self._agent} has no base whose weights are {lesson.base[:_SHOWN_DIGITS]}…; "
                f"those of its trainer.bases are {has}"
            )
        if lesson.size_bytes > self._settings.lesson_megabytes << 20:
            return (
                f"the files of the lesson have {lesson.size_bytes} bytes, and "
                f"trainer.lesson_megabytes of {self._agent} is {self._settings.lesson_megabytes}"
            )
        return ""

    async def _seat(self, held: HeldLesson) -> _Bench:
        store = await asyncio.to_thread(held.folder.store)
        exchange = FileExchange(
            self._bus, self._topics, store, self._agent, held.edge, busy=self._busy
        )
        bench = self._benches[held.edge] = _Bench(held, store, exchange)
        await exchange.start()
        return bench

    async def _drop(self, bench: _Bench, why: str) -> None:
        """Delete all of a lesson, whatever is being done with it."""
        if self._benches.pop(bench.held.edge, None) is not bench:
            return
        if self._at_work is not None and self._at_work[0] is bench.held:
            await _end(self._at_work[1])
        bench.exchange.stop()
        bench.store.close()
        await asyncio.to_thread(bench.held.drop)
        _log.info("lesson deleted", edge=bench.held.edge, night=bench.held.lesson.night, reason=why)

    # -- teaching --------------------------------------------------------------------------------

    async def _work(self) -> None:
        """Teach whatever waits, one lesson after the other, those that came first first."""
        while True:
            self._changed.clear()
            waiting = self._waiting()
            if not waiting:
                await self._changed.wait()
                continue
            held = waiting[0].held
            task = asyncio.create_task(self._teach(waiting[0]))
            self._at_work = held, task
            try:
                await asyncio.wait({task})
            finally:
                self._at_work = None
                await _end(task)
            if not task.cancelled() and (error := task.exception()) is not None:
                held.wait()  # the others do not
                _log.error("a lesson broke", edge=held.edge, exc_info=error)

    def _waiting(self) -> list[_Bench]:
        """Return the lessons that are to be taught, in their order."""
        waits = [each for each in self._benches.values() if not each.held.ended]
        return sorted(
            (each for each in waits if not each.held.away), key=lambda each: each.held.came_s
        )

    async def _teach(self, bench: _Bench) -> None:
        held = bench.held
        try:
            if not await self._has_files(bench):
                return
            await have_learned(held, self._bases[held.lesson.base], self._settings)
            taught = await asyncio.to_thread(describe_taught, held, bench.store)
        except (RecServeError, OSError) as error:
            taught = self._failed(held.lesson, str(error))
            _log.warning("a lesson failed", edge=held.edge, reason=str(error))
        await asyncio.to_thread(held.end, taught)
        await self._say(held.edge, taught)

    async def _has_files(self, bench: _Bench) -> bool:
        """Bring the files of a lesson; say no where its edge does not give them now."""
        try:
            await fetch_lesson(bench.held, bench.store, bench.exchange)
        except BundleError as error:
            bench.held.wait()
            _log.warning("a lesson waits for its edge", edge=bench.held.edge, reason=str(error))
            return False
        return True

    def _failed(self, lesson: NightLesson, why: str) -> LessonState:
        return LessonState(
            night=lesson.night,
            lesson=lesson_digest(lesson),
            stage="failed",
            why=cut(why)[:DETAIL_CHARACTERS],
        )

    # -- telling ---------------------------------------------------------------------------------

    async def _tell_of_all(self) -> None:
        """Tell of the lesson at work often and of the others seldom; let go of deserted ones."""
        turn = 0
        while True:
            await asyncio.sleep(self._tell_s)
            turn += 1
            for bench in list(self._benches.values()):
                if bench.held.quiet_s > self._settings.keep_s:
                    await self._drop(bench, "its edge has been silent for trainer.keep_s")
                elif self._is_at_work(bench) or turn % _ALL_TELLS == 0:
                    await self._tell(bench.held)

    def _is_at_work(self, bench: _Bench) -> bool:
        return self._at_work is not None and self._at_work[0] is bench.held

    async def _tell(self, held: HeldLesson) -> None:
        """Tell an edge how far its lesson is."""
        before = sum(each.held.came_s < held.came_s for each in self._waiting())
        await self._say(held.edge, held.how_far(before))

    async def _say(self, edge: str, taught: LessonState) -> None:
        """Say it to whoever is there to hear it: an edge that is not asks again."""
        with contextlib.suppress(BusError):
            await self._bus.publish(
                self._topics.night(self._agent, edge, "taught"), encode_night(taught)
            )


async def _end(task: asyncio.Task[None]) -> None:
    """Cancel a task to its end: what it waits for may come at that moment, and hide it."""
    while not task.done():
        task.cancel()
        await asyncio.wait({task}, timeout=_HIDDEN_S)


def _note(error: RecServeError) -> None:
    _log.error("no lessons can be heard", reason=str(error))
