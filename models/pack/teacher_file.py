"""What a server said to texts, kept on the disk: an interrupted run goes on where it stopped.

A file for each server, model, and way of asking. A line for each text: the hash of the text, and
what was said to it.
"""

from __future__ import annotations

from contextlib import contextmanager
from hashlib import blake2b
from typing import IO, TYPE_CHECKING

import msgspec

from shared.errors import DataError
from shared.json_lines import appending, read_lines

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path


class Utterance(msgspec.Struct, frozen=True):
    """What a server said to one text, as it came."""

    text_hash: str
    content: str


class TeacherFile:
    """The kept answers of one server's model, in an open file."""

    def __init__(self, file: IO[bytes], known: dict[str, str]) -> None:
        self._file = file
        self._known = known

    def get(self, text: str) -> str | None:
        """Return what was said to a text, if it was asked."""
        return self._known.get(_hash(text))

    def add(self, text: str, content: str) -> None:
        """Keep what was said; a run that is killed after this need not ask again."""
        said = Utterance(_hash(text), content)
        self._file.write(msgspec.json.encode(said) + b"\n")
        self._file.flush()
        self._known[said.text_hash] = content


@contextmanager
def open_teacher_file(folder: Path, asked: Sequence[str]) -> Iterator[TeacherFile]:
    """Open the file of whatever ``asked`` names: server, model, and how it is asked.

    Raises ``DataError`` when the folder cannot be used, or naming the line that is damaged.
    """
    path = folder / f"{_hash(msgspec.json.encode(asked).decode())}.jsonl"
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise DataError(f"{folder}: cannot be used ({error.strerror}); choose another") from error
    with appending(path) as file:
        kept = read_lines(path, Utterance)
        yield TeacherFile(file, {said.text_hash: said.content for said in kept})


def _hash(text: str) -> str:
    return blake2b(text.encode(), digest_size=16).hexdigest()
