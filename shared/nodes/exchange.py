"""Files that two agents of a site send each other through the broker, and nobody else."""

from __future__ import annotations

from typing import TYPE_CHECKING

from shared.nodes.fetch import BundleFetcher
from shared.nodes.pieces import PieceServer, PieceSource, pair_channel
from shared.telemetry.log import get_logger

if TYPE_CHECKING:
    from collections.abc import Callable

    from shared.bus import Bus
    from shared.errors import Refused
    from shared.nodes.fetch import Progress
    from shared.nodes.store import BundleStore
    from shared.wire.manifest import FileSet
    from shared.wire.topics import Topics


_log = get_logger()


class FileExchange:
    """Lends the other one all that a store has, and brings what that one has into it."""

    def __init__(
        self,
        bus: Bus,
        topics: Topics,
        store: BundleStore,
        own: str,
        other: str,
        *,
        busy: Callable[[], bool] = lambda: False,
        patience_s: float = 30.0,
    ) -> None:
        """Exchange files of ``own`` for those of the ``other``, slowly while ``busy``.

        One that gives nothing for ``patience_s`` is not asked again.
        """

        async def opened() -> Bus:
            return bus

        self._source = PieceSource(opened, pair_channel(topics, own, other))
        self._server = PieceServer(bus, pair_channel(topics, other, own), store)
        self._fetcher = BundleFetcher(store, busy=busy, patience_s=patience_s)

    async def start(self) -> None:
        """Begin to lend; a broker without the rights for it costs a line in the log."""
        await self._server.start(_note_refused)

    async def fetch(
        self, files: FileSet, progress: Progress, told: Callable[[], None] = lambda: None
    ) -> None:
        """Bring what is missing; ``told`` hears of each chunk.

        Raises ``BundleError`` when the other one does not give it, ``OSError``.
        """
        await self._fetcher.fetch(files, [self._source], progress, told)

    def stop(self) -> None:
        """Lend no more, and hear no more."""
        self._server.stop()
        self._source.close()


def _note_refused(error: Refused) -> None:
    _log.error("no files can be lent", reason=str(error))
