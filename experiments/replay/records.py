"""One line of JSON per prompt, with all its hops: every decision of a run, explained.

A prompt's text is kept only when asked for; its key is always kept: the hash under which
``experiments.evaluation.answer_store`` knows it. All times are in seconds on the axis of the
replayed trace, 0 being where it begins. Lines are written in order of completion.
"""

from __future__ import annotations

from contextlib import contextmanager
from typing import IO, TYPE_CHECKING, Any, Final

import msgspec

from shared import tasks
from shared.errors import DataError
from shared.json_lines import appending, read_lines
from shared.messages import Hop
from shared.tasks import Answer, Task, from_json

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

FILE: Final = "records.jsonl"
LOST: Final = "lost"
"""The error of a prompt to which nothing came back at all."""


class Record(msgspec.Struct, frozen=True, omit_defaults=True):
    """What became of one prompt.

    ``at_s`` is when it was intended, ``sent_s`` when it went out, ``done_s`` when its result was
    there. ``answer`` is as its task writes it (in runs of earlier versions a label alone),
    ``label`` the true one, if known. A hop has what routing went by and says which number that is;
    a device's own has the largest probability besides, where that is another. ``packet_bytes`` has
    the bytes of one trouble-free pass over each link; what was sent again is in the agents'
    counters only.
    """

    number: int
    id: str
    device: str
    task: Task
    at_s: float
    sent_s: float
    done_s: float
    key: str
    hops: tuple[Hop, ...] = ()
    answer: dict[str, Any] | str | None = None
    label: str | None = None
    degraded: str = ""
    error: str = ""
    reason: str = ""
    text: str = ""
    packet_bytes: dict[str, int] = {}

    @property
    def given(self) -> Answer | None:
        """The answer, if there is one. Raises ``DataError`` when it is none of its task's."""
        if self.answer is None:
            return None
        fields = {"label": self.answer} if isinstance(self.answer, str) else self.answer
        try:
            return from_json(self.task, fields)
        except (KeyError, msgspec.ValidationError) as error:
            raise DataError(
                f"prompt {self.number} has an answer that is none to {self.task!r}: {fields}"
            ) from error

    @property
    def score(self) -> float | None:
        """How right the answer is, from 0 to 1; None without an answer or a truth."""
        given = self.given
        return None if given is None or self.label is None else tasks.score(given, self.label)

    @property
    def tier(self) -> str:
        """Name of the tier that answered; empty when none saw the prompt."""
        return self.hops[-1].tier if self.hops else ""

    @property
    def latency_s(self) -> float:
        """Time from the intended moment to the result."""
        return self.done_s - self.at_s

    @property
    def lateness_s(self) -> float:
        """How much later than intended the generator sent it."""
        return self.sent_s - self.at_s


class RecordWriter:
    """Appends records to the open file of a run."""

    def __init__(self, file: IO[bytes]) -> None:
        self._file = file
        self._encode = msgspec.json.Encoder().encode

    def write(self, record: Record) -> None:
        """Add one record; it may stay in memory until ``flush``."""
        self._file.write(self._encode(record) + b"\n")

    def flush(self) -> None:
        """Hand what was written to the operating system."""
        self._file.flush()


@contextmanager
def open_records(folder: Path) -> Iterator[RecordWriter]:
    """Open the records of a run to add to them; raises ``DataError`` when that cannot be done."""
    with appending(folder / FILE) as file:
        yield RecordWriter(file)


def read_records(folder: Path) -> list[Record]:
    """Return the records of a run by number; raises ``DataError`` that names file and line."""
    records = {record.number: record for record in read_lines(folder / FILE, Record)}
    return [records[number] for number in sorted(records)]
