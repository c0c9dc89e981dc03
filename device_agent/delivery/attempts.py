"""Counts the deaths of a device inside its model, text by text, in a file that outlives them.

An engine that crashes, or takes all memory, takes the process with it; a source brings the same
text again after each restart, and nothing behind it would ever be answered. So what is inside the
model stands in a small file, by the hash of its text: what is found there at a start, the run
before died of. It has to survive the process and no power cut, so nothing is synced; a thread of
its own writes it, so that a disk that stands still costs one short wait and no more.
"""

from __future__ import annotations

import contextlib
import os
import threading
from hashlib import sha256
from itertools import islice
from typing import TYPE_CHECKING, Final

from shared.errors import SettingsError
from shared.telemetry.log import get_logger

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path


DIGEST_BYTES: Final = 16
_ENTRY_BYTES: Final = DIGEST_BYTES + 1
_ENTRIES: Final = 240
_FILE_BYTES: Final = 4096
_MOST: Final = 255
_PATIENCE_S: Final = 0.05
_LATER_S: Final = 0.05

_log = get_logger()


def digest_of(text: str) -> bytes:
    """Return what a text is known by: the beginning of its SHA-256. Whatever was asked has one."""
    return sha256(str(text).encode(errors="surrogatepass")).digest()[:DIGEST_BYTES]


class Attempts:
    """Runs of the model that did not come back, by text."""

    def __init__(self, path: Path) -> None:
        """Open or make the file. Raises ``SettingsError`` when the folder will not have it."""
        self._died: dict[bytes, int] = {}
        self._inside: tuple[bytes, ...] = ()
        self._page = _Page(path)
        held = self._page.held
        for at in range(0, len(held) - _ENTRY_BYTES + 1, _ENTRY_BYTES):
            digest, count = held[at : at + DIGEST_BYTES], held[at + DIGEST_BYTES]
            if count:
                self._died[digest] = count

    def died_of(self, text: str) -> int:
        """Return how often the process died while this text was inside the model."""
        return self._died.get(digest_of(text), 0) if self._died else 0

    def forget(self, text: str) -> None:
        """Count from nothing again."""
        self._died.pop(digest_of(text), None)
        self._page.put(self._listed(), wait=False)

    @contextlib.contextmanager
    def inside(self, texts: Sequence[str]) -> Iterator[None]:
        """Hold texts to be inside the model for as long as the context lasts."""
        self._inside = tuple(map(digest_of, texts))
        self._page.put(self._listed())
        try:
            yield
        finally:
            for digest in self._inside:
                self._died.pop(digest, None)
            self._inside = ()
            self._page.put_later(self._listed())

    def hold(self, texts: Sequence[str]) -> None:
        """Hold these texts and no others to be inside the model from now on."""
        inside = tuple(map(digest_of, texts))
        if set(inside) == set(self._inside):
            return
        came = not set(inside) <= set(self._inside)
        for digest in set(self._inside).difference(inside):
            self._died.pop(digest, None)
        self._inside = inside
        if came:
            self._page.put(self._listed())
        else:
            self._page.put_later(self._listed())

    def close(self) -> None:
        """Let go of the file."""
        self._page.close()

    def _listed(self) -> bytes:
        """Return the file's content: what is inside first, then what others died of."""
        died = self._died
        counts = {digest: died.get(digest, 0) + 1 for digest in self._inside}
        for digest, count in tuple(died.items()):
            counts.setdefault(digest, count)
        entries = islice(counts.items(), _ENTRIES)
        listed = b"".join(digest + bytes([min(count, _MOST)]) for digest, count in entries)
        return listed.ljust(_FILE_BYTES, b"\0")


class _Page:
    """A few kilobytes of a file, rewritten in place, the latest content only."""

    def __init__(self, path: Path) -> None:
        try:
            self._file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
            self.held = os.pread(self._file, _FILE_BYTES, 0)
            """What an earlier run left in it."""
        except OSError as error:
            raise SettingsError(f"{path}: cannot be opened ({error.strerror})") from error
        self._path = path
        self._content = self.held
        self._put, self._urgent, self._written = 0, -1, 0
        self._stands = self._failing = self._closed = False
        self._changed = threading.Condition()
        self._thread = threading.Thread(target=self._serve, name="attempts", daemon=True)
        self._thread.start()

    def put(self, content: bytes, *, wait: bool = True) -> None:
        """Have this written at once, and ``wait`` for it, unless the disk stands still."""
        with self._changed:
            number = self._put = self._urgent = self._put + 1
            self._content = content
            self._changed.notify_all()
            if wait and not self._stands:
                done = self._changed.wait_for(lambda: self._written >= number, _PATIENCE_S)
                self._stands = not done

    def put_later(self, content: bytes) -> None:
        """Have this written soon, unless something else is by then: a turn of the thread less."""
        with self._changed:
            self._put += 1
            self._content = content

    def close(self) -> None:
        """Write what is left and let go of the file, unless the disk stands still."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()
        self._thread.join(_PATIENCE_S)

    def _serve(self) -> None:
        while not self._closed or self._written < self._put:
            with self._changed:
                idle = self._urgent < self._put == self._written
                self._changed.wait_for(self._is_urgent, None if idle else _LATER_S)
                content, number = self._content, self._put
            if number > self._written:
                self._write(content)
            with self._changed:
                self._written, self._stands = number, False
                self._changed.notify_all()
        os.close(self._file)

    def _is_urgent(self) -> bool:
        return self._closed or self._written < self._urgent

    def _write(self, content: bytes) -> None:
        try:
            os.pwrite(self._file, content, 0)
        except OSError as error:
            if not self._failing:
                _log.warning("not counted", file=str(self._path), reason=str(error))
            self._failing = True
        else:
            self._failing = False
