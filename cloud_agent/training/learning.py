"""One lesson from its files to a model: fetched, learned by a process of its own, described."""

from __future__ import annotations

import asyncio
import contextlib
from typing import TYPE_CHECKING, Final

import msgspec

from shared.agent.work_process import run_apart
from shared.errors import RecServeError, StoreError
from shared.nodes.fetch import Progress
from shared.nodes.lesson_folder import ADAPTER_FILES, lay_out, lend
from shared.runtimes.bundle import Bundle
from shared.runtimes.bundle_files import MANIFEST
from shared.wire.nights import LessonState

if TYPE_CHECKING:
    from cloud_agent.training.held_lesson import HeldLesson
    from cloud_agent.training.settings import TrainerSettings
    from shared.nodes.exchange import FileExchange
    from shared.nodes.store import BundleStore

_MODULE: Final = "recserve.night.learn"
_LOOK_S: Final = 0.5


class LearnedNote(msgspec.Struct, frozen=True, kw_only=True):
    """What a training says when it has ended: why there is no model; empty: there is one."""

    why: str = ""


class LearningFailed(RecServeError):
    """A lesson could not be learned; the text says why."""


async def fetch_lesson(held: HeldLesson, store: BundleStore, exchange: FileExchange) -> None:
    """Bring the files of a lesson, and lay them out.

    Raises ``BundleError`` when its edge does not give them, ``StoreError``.
    """
    held.stage, held.total = "fetches", held.lesson.size_bytes
    progress = Progress()

    def told() -> None:
        held.done = progress.bytes_done

    await exchange.fetch(held.lesson, progress, told)
    await asyncio.to_thread(_lay_out, held, store)


def _lay_out(held: HeldLesson, store: BundleStore) -> None:
    folder, lesson = held.folder, held.lesson
    folder.rows.unlink(missing_ok=True)
    try:
        folder.rows.hardlink_to(store.blob(lesson.rows.sha256))
    except OSError as error:
        raise StoreError(f"{folder.rows}: cannot be laid out ({error.strerror})") from error
    if lesson.warm:
        lay_out(store, lesson.warm, folder.warm)


async def have_learned(held: HeldLesson, base: str, settings: TrainerSettings) -> None:
    """Train and pack, going on where an earlier process was. Raises ``LearningFailed``."""
    folder = held.folder.path
    held.stage, held.done, held.total = "learns", 0, held.lesson.recipe.steps
    watching = asyncio.create_task(_watch(held))
    try:
        ended = await run_apart(_MODULE, folder, base, str(settings.threads), str(settings.limit_s))
    finally:
        watching.cancel()
        await asyncio.gather(watching, return_exceptions=True)
    try:
        note = msgspec.json.decode((folder / "learned.json").read_bytes(), type=LearnedNote)
    except (OSError, msgspec.DecodeError):
        note = LearnedNote(why=ended)
    if note.why:
        raise LearningFailed(note.why)


def describe_taught(held: HeldLesson, store: BundleStore) -> LessonState:
    """Lend what came of a lesson, and say what it is. Raises ``RecServeError``."""
    bundle = Bundle.open(held.folder.bundle)
    return LessonState(
        night=held.lesson.night,
        lesson=held.digest,
        stage="taught",
        adapter=lend(store, held.folder.adapter, ADAPTER_FILES),
        bundle=lend(store, held.folder.bundle, (MANIFEST, *bundle.manifest.files)),
    )


async def _watch(held: HeldLesson) -> None:
    """Take over how far the process is, which its folder shows."""
    while True:
        with contextlib.suppress(OSError, ValueError):
            held.done = int((held.folder.path / "steps").read_text())
        if (held.folder.path / "tuned").exists():
            held.stage = "packs"
        await asyncio.sleep(_LOOK_S)
