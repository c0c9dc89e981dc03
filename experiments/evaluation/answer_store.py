"""The answers of one model, kept on disk: a file that only grows and is never believed unchecked.

::

    {fingerprint}.answers
        header    64 bytes: what this file is, for which model, how many labels
        record    prompt hash, elapsed time, one probability per label, checksum
        record    ...

Every record carries a checksum that is keyed with the model's fingerprint. What a crash tore, a
disk altered, or another model wrote fails its check, is counted in ``dropped`` and is simply not
there, so that its prompt is answered again. A file is open to one process at a time.
"""

from __future__ import annotations

import os
import struct
from contextlib import contextmanager
from hashlib import blake2b
from typing import TYPE_CHECKING, Final, NamedTuple

from shared.errors import DataError
from shared.storage.files import lock_alone
from shared.telemetry.log import get_logger

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping
    from pathlib import Path

_MAGIC: Final = b"recserve answers 1\n"
_HEADER_BYTES: Final = 64
_KEY_BYTES: Final = 16
_CHECK_BYTES: Final = 8

_log = get_logger()


class Kept(NamedTuple):
    """What is kept of an answer: the rest follows from the probabilities."""

    elapsed_us: int
    probabilities: tuple[float, ...]


def prompt_key(text: str) -> bytes:
    """Return the hash that stands for a prompt: BLAKE2b over its UTF-8 bytes, 16 bytes long."""
    return blake2b(text.encode(), digest_size=_KEY_BYTES).digest()


@contextmanager
def open_store(folder: Path, fingerprint: str, labels: int) -> Iterator[AnswerStore]:
    """Open the kept answers of the model with this fingerprint (64 hexadecimal digits).

    Raises ``DataError`` when the folder cannot be used or another process has the file open.
    """
    path = folder / f"{fingerprint[:32]}.answers"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND, 0o644)
    except OSError as error:
        raise DataError(f"{path}: cannot be used ({error}); choose another folder") from error
    try:
        _lock(file, path)
        yield AnswerStore(path, file, fingerprint, labels)
    finally:
        os.close(file)


class AnswerStore:
    """The kept answers of one model, in an open file that nobody else writes."""

    def __init__(self, path: Path, file: int, fingerprint: str, labels: int) -> None:
        self.path = path
        self.dropped = 0
        self._file = file
        self._key = bytes.fromhex(fingerprint)
        self._record = struct.Struct(f"<{_KEY_BYTES}sI{labels}d")
        self._header = blake2b(
            _MAGIC + self._key + labels.to_bytes(4, "little"), digest_size=_HEADER_BYTES
        ).digest()
        self._answers: dict[bytes, Kept] = {}
        self._read()

    @property
    def answers(self) -> Mapping[bytes, Kept]:
        """The sound answers by ``prompt_key``."""
        return self._answers

    def append(self, answers: Iterable[tuple[bytes, Kept]]) -> None:
        """Add answers to the file in one write, and then to ``answers``."""
        added = dict(answers)
        self._write(self._records(added.items()))
        self._answers.update(added)

    def _read(self) -> None:
        """Read the file; where it is damaged, write what is sound in it anew."""
        content = self.path.read_bytes()
        header, body = content[:_HEADER_BYTES], content[_HEADER_BYTES:]
        size = self._record.size + _CHECK_BYTES
        if header == self._header:
            for start in range(0, len(body), size):
                self._take(body[start : start + size])
        else:
            self.dropped = -(-len(body) // size)
        if header == self._header and not self.dropped:
            return
        if self.dropped:
            _log.warning(
                "kept answers are damaged and will be made again",
                file=str(self.path),
                answers=self.dropped,
            )
        os.ftruncate(self._file, 0)
        self._write(self._header + self._records(self._answers.items()))

    def _take(self, record: bytes) -> None:
        packed, check = record[:-_CHECK_BYTES], record[-_CHECK_BYTES:]
        if len(packed) != self._record.size or self._check(packed) != check:
            self.dropped += 1
            return
        key, elapsed_us, *probabilities = self._record.unpack(packed)
        self._answers[key] = Kept(elapsed_us, tuple(probabilities))

    def _records(self, answers: Iterable[tuple[bytes, Kept]]) -> bytes:
        records = []
        for key, kept in answers:
            elapsed_us = min(kept.elapsed_us, 0xFFFF_FFFF)
            packed = self._record.pack(key, elapsed_us, *kept.probabilities)
            records.append(packed + self._check(packed))
        return b"".join(records)

    def _write(self, content: bytes) -> None:
        if os.write(self._file, content) != len(content):
            raise DataError(f"{self.path}: could not be written in full; make room on the disk")

    def _check(self, packed: bytes) -> bytes:
        return blake2b(packed, key=self._key, digest_size=_CHECK_BYTES).digest()


def _lock(file: int, path: Path) -> None:
    try:
        lock_alone(file)
    except BlockingIOError:
        raise DataError(f"{path}: another process is filling it; wait for it to end") from None
