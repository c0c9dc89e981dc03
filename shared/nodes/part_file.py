"""One file on its way: a ``.part`` that is filled chunk by chunk, and a journal of those that are.

A chunk is written where it belongs and only then noted in the journal, which is synced with it now
and then. Opened again, every chunk that the journal notes is held against its hash, so that neither
a kill at any byte nor a power cut leaves anything in the file that nobody checked. Blocking.
"""

from __future__ import annotations

import hashlib
import os
import struct
import threading
from typing import TYPE_CHECKING, Final

from shared.errors import BundleError
from shared.storage.files import sync_folder
from shared.wire.manifest import CHUNK_BYTES

if TYPE_CHECKING:
    from pathlib import Path

    from shared.wire.manifest import ShippedFile

_NOTE: Final = struct.Struct(">I")
_SYNC_CHUNKS: Final = 32


class PartFile:
    """The part of a file that is there, and the chunks that are missing."""

    def __init__(self, folder: Path, file: ShippedFile) -> None:
        """Open what was left of it, or begin. Raises ``OSError``."""
        self.file = file
        self.hashes = file.hashes()
        self.path = folder / f"{file.sha256}.part"
        self._journal_path = folder / f"{file.sha256}.journal"
        noted = self._noted()
        self._part = os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        os.ftruncate(self._part, file.size_bytes)
        self.done = {index for index in noted if self._is_there(index)}
        self._journal = os.open(
            self._journal_path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600
        )
        os.write(self._journal, b"".join(_NOTE.pack(index) for index in sorted(self.done)))
        self._unsynced = 0
        self._turn = threading.Lock()  # a thread may still write when nobody waits for it

    @property
    def missing(self) -> list[int]:
        """The chunks that are not there yet."""
        return [index for index in range(len(self.hashes)) if index not in self.done]

    @property
    def bytes_done(self) -> int:
        """Bytes that are there and checked."""
        return sum(self.length(index) for index in self.done)

    def length(self, index: int) -> int:
        """Return how long a chunk is."""
        return min(CHUNK_BYTES, self.file.size_bytes - index * CHUNK_BYTES)

    def put(self, index: int, data: bytes) -> bool:
        """Take a chunk, unless it is not the right one. Raises ``OSError``."""
        if len(data) != self.length(index):
            return False
        if hashlib.sha256(data).digest() != self.hashes[index]:
            return False
        with self._turn:
            if self._part < 0:
                return False
            os.pwrite(self._part, data, index * CHUNK_BYTES)
            os.write(self._journal, _NOTE.pack(index))
            self.done.add(index)
            self._unsynced += 1
            if self._unsynced >= _SYNC_CHUNKS:
                self._sync()
        return True

    def finish(self, place: Path) -> None:
        """Hold the whole against its hash and put it into its place, in one step.

        Raises ``BundleError`` when it is not the file after all, and begins anew then.
        """
        self._sync()
        if self._whole() != self.file.sha256:
            self.discard()
            raise BundleError(
                f"{self.file.name}: the file is not the one that was signed, though its chunks are"
            )
        self.close()
        self.path.replace(place)
        sync_folder(place.parent)
        self._journal_path.unlink(missing_ok=True)

    def discard(self) -> None:
        """Forget all of it."""
        self.close()
        self.path.unlink(missing_ok=True)
        self._journal_path.unlink(missing_ok=True)

    def close(self) -> None:
        """Let go of the files; what is there stays."""
        with self._turn:
            for descriptor in (self._part, self._journal):
                if descriptor >= 0:
                    os.close(descriptor)
            self._part = self._journal = -1

    def _sync(self) -> None:
        os.fsync(self._part)
        os.fsync(self._journal)
        self._unsynced = 0

    def _noted(self) -> list[int]:
        """Return the chunks of the journal; its last note may be half written."""
        if not self.path.exists() or not self._journal_path.exists():
            return []
        raw = self._journal_path.read_bytes()
        raw = raw[: len(raw) // _NOTE.size * _NOTE.size]
        return [index for (index,) in _NOTE.iter_unpack(raw) if index < len(self.hashes)]

    def _is_there(self, index: int) -> bool:
        data = os.pread(self._part, self.length(index), index * CHUNK_BYTES)
        return hashlib.sha256(data).digest() == self.hashes[index]

    def _whole(self) -> str:
        digest, at = hashlib.sha256(), 0
        while block := os.pread(self._part, CHUNK_BYTES, at):
            digest.update(block)
            at += len(block)
        return digest.hexdigest()
