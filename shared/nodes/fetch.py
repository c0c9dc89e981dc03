"""Fetches the files of a bundle from several sources at once, and never trusts one of them.

Every source takes the next chunk that is missing; what it brings is held against the chunk's hash
before it is written. Those of the lowest rank come first: one of a higher rank waits for as long as
they bring anything. One that brings wrong chunks three times is not asked again; one that fails is
left alone for a while. While prompts wait for the model, bytes come no faster than is allowed.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from bisect import bisect_left, insort
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from shared.errors import BundleError
from shared.nodes.sources import FAILURES
from shared.telemetry.log import get_logger
from shared.wire.manifest import CHUNK_BYTES

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from shared.nodes.part_file import PartFile
    from shared.nodes.sources import ChunkSource
    from shared.nodes.store import BundleStore
    from shared.wire.manifest import FileSet

_log = get_logger()
_WRONG_CHUNKS: Final = 3
_FIRST_PAUSE_S: Final = 0.2
_LONGEST_PAUSE_S: Final = 5.0
_ACCOUNT_S: Final = 0.25
_LATE_S: Final = 5.0
_STALLED_S: Final = 3.0


@dataclass
class Progress:
    """How far a bundle is."""

    bytes_total: int = 0
    bytes_done: int = 0
    fetched: int = 0
    repaired: int = 0
    source: str = ""
    started_s: float = field(default_factory=time.monotonic)

    @property
    def bytes_s(self) -> float:
        """Bytes a second since the start."""
        return self.fetched / max(time.monotonic() - self.started_s, 1e-3)


class BundleFetcher:
    """Brings bundles into a store."""

    def __init__(
        self,
        store: BundleStore,
        *,
        busy: Callable[[], bool] = lambda: False,
        busy_bytes_s: float = 1e6,
        patience_s: float = 30.0,
    ) -> None:
        """Go slowly while ``busy``; give up when no source brought anything for ``patience_s``."""
        self._store = store
        self._busy = busy
        self._busy_bytes_s = busy_bytes_s
        self._patience_s = patience_s
        self._free_s = 0.0

    async def fetch(
        self,
        bundle: FileSet,
        sources: Sequence[ChunkSource],
        progress: Progress,
        told: Callable[[], None] = lambda: None,
    ) -> None:
        """Bring every file that is missing; ``told`` hears of each chunk.

        Raises ``BundleError`` when no source has it, ``OSError`` when the disk will not.
        """
        missing = self._store.missing(bundle)
        progress.bytes_total = bundle.size_bytes
        progress.bytes_done = bundle.size_bytes - sum(file.size_bytes for file in missing)
        for file in missing:
            part = await asyncio.to_thread(self._store.part, file)
            try:
                progress.bytes_done += part.bytes_done
                told()
                if part.missing:
                    await self._fill(part, sources, progress, told)
                await asyncio.to_thread(self._store.finish, part)
            finally:
                part.close()

    async def _fill(
        self,
        part: PartFile,
        sources: Sequence[ChunkSource],
        progress: Progress,
        told: Callable[[], None],
    ) -> None:
        if not sources:
            raise BundleError(
                "no source has the bundle: the centre names none, nor do the settings"
            )
        filling = _Filling(part, sources, progress, told)
        workers = [asyncio.create_task(self._drain(source, filling)) for source in sources]
        try:
            await asyncio.gather(*workers)
        finally:
            for worker in workers:
                worker.cancel()
            await asyncio.gather(*workers, return_exceptions=True)
        if part.missing:
            raise BundleError(f"{part.file.name}: {filling.reason or 'no source has it'}")

    async def _drain(self, source: ChunkSource, filling: _Filling) -> None:
        """Let one source bring chunks until none is missing, or it is of no use."""
        wrong, pause_s = 0, _FIRST_PAUSE_S
        while (index := await filling.take(source)) is not None:
            try:
                await self._wait_for_leave(filling.part.length(index))
                data = await source.fetch(
                    filling.part.file.sha256, index * CHUNK_BYTES, filling.part.length(index)
                )
                good = await asyncio.to_thread(filling.part.put, index, data)
            except FAILURES as error:
                filling.give_back(index, source, str(error))
                if time.monotonic() - filling.moved_s > self._patience_s:
                    return
                await asyncio.sleep(pause_s)
                pause_s = min(pause_s * 2, _LONGEST_PAUSE_S)
                continue
            except BaseException:
                filling.give_back(index, source, "")
                raise
            if good:
                pause_s = _FIRST_PAUSE_S
                filling.came(index, source)
                continue
            wrong += 1
            filling.progress.repaired += 1
            filling.give_back(index, source, f"{source.name} has it wrong")
            _log.warning("a wrong chunk", source=source.name, chunk=index, wrong=wrong)
            if wrong >= _WRONG_CHUNKS:
                return

    async def _wait_for_leave(self, size_bytes: int) -> None:
        """Return when as many bytes may come: at once, unless prompts wait for the model."""
        now_s = time.monotonic()
        if not self._busy():
            self._free_s = now_s
            return
        self._free_s = max(self._free_s, now_s) + size_bytes / self._busy_bytes_s
        left_s = self._free_s - now_s
        while left_s > 0 and self._busy():
            await asyncio.sleep(min(left_s, _ACCOUNT_S))
            left_s = self._free_s - time.monotonic()


class _Filling:
    """One file that several sources fill."""

    def __init__(
        self,
        part: PartFile,
        sources: Sequence[ChunkSource],
        progress: Progress,
        told: Callable[[], None],
    ) -> None:
        self.part = part
        self.progress = progress
        self.reason = ""
        self.moved_s = time.monotonic()
        self._brought_s = dict.fromkeys(sources, self.moved_s)
        self._told = told
        self._open = part.missing
        self._out: set[int] = set()
        self._changed = asyncio.Event()

    async def take(self, source: ChunkSource) -> int | None:
        """Return the next chunk for a source to bring, None when all are there.

        One that another source is bringing is waited for, and brought twice only when it is late. A
        source gets none while one of a lower rank brings some.
        """
        late = False
        while self._nearer_bring(source):
            if not (self._open or self._out):
                return None
            await asyncio.sleep(_ACCOUNT_S)
        while self._open or self._out:
            if self._open:
                behind = bisect_left(self._open, source.place(self.part.file.sha256) // CHUNK_BYTES)
                index = self._open.pop(behind % len(self._open))
                self._out.add(index)
                return index
            if late:
                return min(self._out)
            self._changed.clear()
            try:
                await asyncio.wait_for(self._changed.wait(), _LATE_S)
            except asyncio.TimeoutError:
                late = True
        return None

    def _nearer_bring(self, source: ChunkSource) -> bool:
        """Say whether one of a lower rank brought something lately, or has only just begun."""
        since_s = time.monotonic() - _STALLED_S
        return any(
            other.rank < source.rank and brought_s > since_s
            for other, brought_s in self._brought_s.items()
        )

    def give_back(self, index: int, source: ChunkSource, reason: str) -> None:
        """Have somebody else bring a chunk, and wait no longer for this one to bring any."""
        self.reason = reason or self.reason
        self._brought_s.pop(source, None)
        if index in self._out:
            self._out.discard(index)
            insort(self._open, index)
        self._changed.set()

    def came(self, index: int, source: ChunkSource) -> None:
        """Take note of a chunk that is there; brought twice, it counts once."""
        self.moved_s = self._brought_s[source] = time.monotonic()
        self.progress.fetched += self.part.length(index)
        self.progress.source = source.name
        if index in self._out:
            self._out.discard(index)
            self.progress.bytes_done += self.part.length(index)
        with contextlib.suppress(ValueError):
            self._open.remove(index)
            self.progress.bytes_done += self.part.length(index)
        self._changed.set()
        self._told()
