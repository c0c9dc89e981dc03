"""Which message each topic brought last, so that a retained one is not labelled again.

A broker hands over what it retained at every connection, and does not say whether it is new. With a
file that is known after a restart, too; without one, what is retained when the process begins
counts as seen, as the lines that a followed file holds by then do.
"""

from __future__ import annotations

import asyncio
import hashlib
from collections import OrderedDict
from typing import TYPE_CHECKING, Final, NamedTuple

import msgspec

from device_agent.sources.kept import append
from shared.storage.files import write_atomically

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from shared.bus import Message

_TOPICS: Final = 10_000
_SAVE_S: Final = 1.0


class Said(NamedTuple):
    """A message without its payload."""

    topic: str
    digest: str

    @classmethod
    def by(cls, message: Message) -> Said:
        """Return what tells a message from others."""
        return cls(message.topic, hashlib.sha256(message.payload).hexdigest()[:16])


class SeenMessages:
    """The last messages of ten thousand topics; the topics heard of longest ago are forgotten."""

    def __init__(self, path: Path | None) -> None:
        self._path = path
        self._begun = path is not None
        self._taken: OrderedDict[str, str] = OrderedDict()
        self._done: OrderedDict[str, str] = OrderedDict()
        self._unsaved: dict[str, str] = {}
        self._changed = asyncio.Event()
        self._lines = 0

    def load(self) -> None:
        """Read what an earlier run noted, as far as it can be read; raises ``OSError``."""
        if self._path is None or not self._path.exists():
            return
        for line in self._path.read_bytes().splitlines():
            self._lines += 1
            try:
                said = msgspec.json.decode(line, type=Said)
            except (msgspec.DecodeError, UnicodeDecodeError):
                continue  # a power cut tore it
            _put(self._taken, said)
            _put(self._done, said)

    def lost(self) -> None:
        """Note a loss of the connection: what comes retained after it came while we ran."""
        self._begun = True

    def take(self, said: Said, *, retained: bool) -> bool:
        """Note a message as its topic's last; say whether a retained one is new."""
        first = said.topic not in self._taken
        new = self._begun if first else self._taken[said.topic] != said.digest
        _put(self._taken, said)
        return new or not retained

    def note(self, said: Said) -> None:
        """Note that a message is done with: after a restart, it is not to be taken again."""
        if self._path is not None:
            _put(self._done, said)
            self._unsaved[said.topic] = said.digest
            self._changed.set()

    async def changed(self) -> None:
        """Return when there is something to save, a moment later since more may follow."""
        await self._changed.wait()
        await asyncio.sleep(_SAVE_S)

    def save(self) -> None:
        """Write down what was noted; raises ``OSError`` and keeps it for later."""
        if self._path is None or not self._unsaved:
            return
        if self._lines > 2 * _TOPICS:
            write_atomically(self._path, _encode(self._done), durable=False)
            self._lines = len(self._done)
        else:
            append(self._path, _encode(self._unsaved))
            self._lines += len(self._unsaved)
        self._unsaved.clear()
        self._changed.clear()


def _put(last: OrderedDict[str, str], said: Said) -> None:
    last[said.topic] = said.digest
    last.move_to_end(said.topic)
    if len(last) > _TOPICS:
        last.popitem(last=False)


def _encode(last: Mapping[str, str]) -> bytes:
    return b"".join(msgspec.json.encode(said) + b"\n" for said in last.items())
