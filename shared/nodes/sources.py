"""Where files come from: any URL that answers ranges."""

from __future__ import annotations

import asyncio
import http.client
import ssl
import threading
from typing import TYPE_CHECKING, Final, Protocol
from urllib.parse import urlsplit

from shared.errors import BusError, RecServeError

if TYPE_CHECKING:
    from collections.abc import Awaitable

_TIMEOUT_S: Final = 20.0
PARTIAL: Final = 206
SHARED: Final = -1
"""The rank of files over MQTT where several fetch the same at once: the centre sends it once."""
NEAR: Final = 0
"""The rank of whoever has a bundle already and lends it, and of the places in the settings."""
CENTER: Final = 1
BROKER: Final = 2
"""The rank of files over MQTT: last, for every byte then goes by the way of the prompts."""


class SourceFailed(RecServeError):
    """A source did not give what it was asked for; another one may, or the same one later."""


class ChunkSource(Protocol):
    """Gives any range of a file that is known by its hash."""

    @property
    def name(self) -> str:
        """Name of the source, for people."""

    @property
    def rank(self) -> int:
        """When it is asked: only while none of a lower rank brings anything."""

    def place(self, sha256: str) -> int:
        """Return where in a file it had best go on: the first chunk behind that is missing."""

    def fetch(self, sha256: str, offset: int, length: int) -> Awaitable[bytes]:
        """Return a range of a file. Raises ``SourceFailed`` or ``BusError``."""

    def close(self) -> None:
        """Let go of connections."""


FAILURES: Final = (SourceFailed, BusError)


class HttpSource:
    """A URL below which files have their SHA-256 for a name: ``{base}/blobs/{sha256}``."""

    def __init__(self, base: str, rank: int = NEAR) -> None:
        self.name = base
        self.rank = rank
        self._address = urlsplit(base)
        self._connection: http.client.HTTPConnection | None = None
        self._lock = threading.Lock()

    def place(self, sha256: str) -> int:
        """Begin at the beginning: any range is as good as another."""
        del sha256
        return 0

    async def fetch(self, sha256: str, offset: int, length: int) -> bytes:
        """Return a range; the connection is kept for the next one."""
        return await asyncio.to_thread(self._fetch, sha256, offset, length)

    def close(self) -> None:
        """Close the connection."""
        with self._lock:
            self._drop()

    def _fetch(self, sha256: str, offset: int, length: int) -> bytes:
        with self._lock:
            try:
                return self._ask(sha256, offset, length)
            except SourceFailed:
                self._drop()
                raise
            except (OSError, http.client.HTTPException) as error:
                self._drop()
                raise SourceFailed(f"{self.name}: {type(error).__name__}: {error}") from error

    def _ask(self, sha256: str, offset: int, length: int) -> bytes:
        connection = self._connected()
        path = f"{self._address.path.rstrip('/')}/blobs/{sha256}"
        last = offset + length - 1
        connection.request("GET", path, headers={"Range": f"bytes={offset}-{last}"})
        answer = connection.getresponse()
        if answer.status != PARTIAL:
            raise SourceFailed(f"{self.name}: answers {answer.status} and not a range")
        said = answer.getheader("Content-Range", "")
        if not said.startswith(f"bytes {offset}-{last}/"):
            raise SourceFailed(f"{self.name}: answers {said!r} and not the range asked for")
        data = answer.read(length + 1)
        if len(data) != length:
            raise SourceFailed(f"{self.name}: broke off after {len(data)} of {length} bytes")
        if answer.will_close:
            self._drop()
        return data

    def _connected(self) -> http.client.HTTPConnection:
        if self._connection is None:
            host, port = self._address.hostname or "", self._address.port
            if self._address.scheme == "https":
                self._connection = http.client.HTTPSConnection(
                    host, port, timeout=_TIMEOUT_S, context=ssl.create_default_context()
                )
            else:
                self._connection = http.client.HTTPConnection(host, port, timeout=_TIMEOUT_S)
        return self._connection

    def _drop(self) -> None:
        if self._connection is not None:
            self._connection.close()
            self._connection = None
