"""A night whose model another agent of the site trains: the lesson sent, the model brought here.

The edge goes on deciding: its own process chooses the rows, examines both models and reads the
gates; in between it ends, and here what it wants learned is sent to the trainer, until that says
what came of it. Nothing here, nor in that process then, imports PyTorch.
"""

from __future__ import annotations

import asyncio
import contextlib
from typing import TYPE_CHECKING, Final

from edge_agent.nights.folder import NightOutcome
from edge_agent.nights.trainer import held
from shared.errors import BundleError, BusError, MalformedMessage, RecServeError
from shared.nodes.exchange import FileExchange
from shared.nodes.fetch import Progress
from shared.nodes.lesson_folder import LessonFolder, lay_out
from shared.supervision import Supervised
from shared.telemetry.log import get_logger
from shared.wire.nights import LessonState, LetGo, decode_night, encode_night, lesson_digest

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from edge_agent.nights.folder import NightFolder, NightOrder
    from shared.bus import Bus, Message
    from shared.wire.nights import NightLesson, Stage
    from shared.wire.topics import NightKind, Topics

_log = get_logger()
AGAIN_S: Final = 10.0
"""A trainer that is silent for as long is sent the lesson again."""


class NotTaught(RecServeError):
    """A trainer could not teach a lesson; the text says why."""


class TrainerElsewhere:
    """Has the agent ``trainer`` of the site train what this edge is to learn."""

    def __init__(self, nights: NightFolder, trainer: str, *, again_s: float = AGAIN_S) -> None:
        self._nights = nights
        self._trainer = trainer
        self._again_s = again_s
        self._arrived: asyncio.Queue[LessonState] = asyncio.Queue()
        self._taught: asyncio.Queue[LessonState] = asyncio.Queue()
        self._current = ""
        """The digest of the lesson at hand."""
        self._stage: Stage | None = None
        self._bus: Bus | None = None
        self._topics: Topics | None = None
        self._agent = ""

    @contextlib.asynccontextmanager
    async def reached(self, bus: Bus, topics: Topics, agent: str) -> AsyncIterator[None]:
        """Reach the trainer over a bus, as ``agent``, for as long as the context lasts."""
        self._bus, self._topics, self._agent = bus, topics, agent
        await bus.subscribe(
            topics.night(self._trainer, agent, "taught"), self._hear, refused=_note_refused
        )
        sorting = Supervised("nights taught", self._sort)
        try:
            yield
        finally:
            await sorting.stop()

    async def train(self, nights: NightFolder, number: int) -> NightOutcome:
        """Have a night held with the training elsewhere, and return what came of it.

        As ``edge_agent.nights.trainer.train``, which does all of it here. Raises ``StoreError``.
        """
        order = nights.order(number)
        limit_s = order.night.limit_s
        try:
            return await asyncio.wait_for(self._train(nights, order), limit_s)
        except asyncio.TimeoutError:
            why = f"{self._how_far()} when memory.night.limit_s passed, which is {limit_s:g} s"
        except (RecServeError, OSError) as error:
            why = str(error)
        outcome = NightOutcome(number=number, verdict="failed", why=why)
        nights.write_outcome(outcome)
        await self._let_go(self._current)
        return outcome

    async def _train(self, nights: NightFolder, order: NightOrder) -> NightOutcome:
        folder = LessonFolder(nights.of(order.number))
        while (outcome := await held(nights, order.number)) is None:
            await self._have_taught(folder, order.night.taught_megabytes)
        return outcome

    def _how_far(self) -> str:
        if self._stage is None:
            return f"nothing was heard of the trainer {self._trainer}"
        return f"the trainer {self._trainer} was at the stage {self._stage!r}"

    # -- one lesson ------------------------------------------------------------------------------

    async def _have_taught(self, folder: LessonFolder, most_megabytes: int) -> None:
        """Have a lesson taught, and lay out what comes of it. Raises ``NotTaught``."""
        lesson = await asyncio.to_thread(folder.read)
        assert lesson is not None, "the process wrote it"  # noqa: S101
        assert self._bus is not None, "reached"  # noqa: S101
        assert self._topics is not None, "reached"  # noqa: S101
        digest = self._current = lesson_digest(lesson)
        self._taught = asyncio.Queue()  # what was still said of the one before is of no use
        store = await asyncio.to_thread(folder.store)
        exchange = FileExchange(
            self._bus, self._topics, store, self._agent, self._trainer, patience_s=self._again_s
        )
        try:
            await exchange.start()
            taught = await self._brought(lesson, exchange, most_megabytes)
            await asyncio.to_thread(lay_out, store, taught.adapter, folder.adapter)
            await asyncio.to_thread(lay_out, store, taught.bundle, folder.bundle)
            _log.info("a night's model came", night=lesson.night, trainer=self._trainer)
        finally:
            exchange.stop()
            store.close()
        await self._let_go(digest)

    async def _brought(
        self, lesson: NightLesson, exchange: FileExchange, most_megabytes: int
    ) -> LessonState:
        """Bring what a trainer makes of a lesson, however often that goes away meanwhile.

        Raises ``NotTaught`` with the reason that it gives, or for more than may come.
        """
        while True:
            taught = await self._until_taught(lesson)
            if taught.stage == "failed":
                raise NotTaught(taught.why)
            if taught.size_bytes > most_megabytes << 20:
                raise NotTaught(
                    f"the files that {self._trainer} made have {taught.size_bytes} bytes, and "
                    f"memory.night.taught_megabytes is {most_megabytes}"
                )
            try:
                await exchange.fetch(taught, Progress())
            except BundleError as error:
                _log.warning("a night's model is waited for", night=lesson.night, reason=str(error))
                await asyncio.sleep(self._again_s)
            else:
                return taught

    async def _until_taught(self, lesson: NightLesson) -> LessonState:
        """Send a lesson whenever its trainer is silent, until that has an end of it."""
        self._stage = None
        while True:
            with contextlib.suppress(BusError):
                await self._say("lesson", encode_night(lesson))
            with contextlib.suppress(asyncio.TimeoutError):
                while True:
                    taught = await asyncio.wait_for(self._taught.get(), self._again_s)
                    if taught.stage != self._stage:
                        _log.info("a night is taught elsewhere", **_told_of(taught))
                    self._stage = taught.stage
                    if taught.stage in ("taught", "failed"):
                        return taught

    # -- hearing and saying ----------------------------------------------------------------------

    def _hear(self, message: Message) -> None:
        assert self._bus is not None, "reached"  # noqa: S101
        self._bus.acknowledge(message)
        try:
            self._arrived.put_nowait(decode_night(LessonState, message.payload))
        except MalformedMessage as error:
            _log.warning("word of a trainer refused", topic=message.topic, reason=str(error))

    async def _sort(self) -> None:
        """Take what is of the lesson at hand; have the trainer let go of what nobody wants."""
        while True:
            taught = await self._arrived.get()
            if taught.lesson == self._current:
                self._taught.put_nowait(taught)
            elif not await asyncio.to_thread(self._comes_to, taught):
                await self._let_go(taught.lesson)

    def _comes_to(self, taught: LessonState) -> bool:
        """Say whether a lesson is that of the night which is to go on."""
        try:
            number = self._nights.unfinished
            lesson = None if number is None else LessonFolder(self._nights.of(number)).read()
        except RecServeError:
            return True  # nobody knows
        return lesson is not None and lesson_digest(lesson) == taught.lesson

    async def _let_go(self, digest: str) -> None:
        """Have the trainer delete a lesson; one that does not hear it asks again, later."""
        if digest == self._current:
            self._current = ""
        if not digest:
            return
        with contextlib.suppress(BusError):
            await self._say("let-go", encode_night(LetGo(lesson=digest)))

    async def _say(self, kind: NightKind, payload: bytes) -> None:
        assert self._bus is not None, "reached"  # noqa: S101
        assert self._topics is not None, "reached"  # noqa: S101
        await self._bus.publish(self._topics.night(self._agent, self._trainer, kind), payload)


def _told_of(taught: LessonState) -> dict[str, int | str]:
    return {
        "night": taught.night,
        "stage": taught.stage,
        "done": taught.done,
        "total": taught.total,
    }


def _note_refused(error: RecServeError) -> None:
    _log.error("the trainer cannot be heard", reason=str(error))
