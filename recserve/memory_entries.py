"""Entries carried from one memory to another by a file, one JSON object a line.

A file is read whole before anything is sent: a line that is no entry costs nothing but a sentence.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import msgspec

from edge_agent.memory.entries import Entry
from edge_agent.memory.requests import PAGE, REQUEST_BYTES, ExportEntries, ImportEntries
from edge_agent.memory.taking_over import fault_of
from recserve.memory_client import asking
from shared.errors import DataError, MemoryRefused, RecServeError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence
    from pathlib import Path

    from recserve.memory_client import Place

_BATCH_BYTES: Final = 100_000
_ENTRY_BYTES: Final = REQUEST_BYTES // 2


async def export_entries(where: str, place: Place) -> list[dict[str, Any]]:
    """Return all entries of a memory, those that the edge's model has learned among them."""
    rows: list[dict[str, Any]] = []
    after: int | None = 0
    async with asking(where, place, changes=False) as ask:
        while after is not None:
            page = await ask(ExportEntries(after))
            rows += page["entries"]
            after = page["after"]
    return rows


async def import_entries(where: str, entries: Sequence[Entry], place: Place) -> dict[str, int]:
    """Have a memory take entries in; return how many there were of each outcome.

    Raises ``MemoryRefused``, which says how many were taken in before; they are known when they
    come again.
    """
    outcomes: dict[str, int] = {}
    async with asking(where, place, changes=True) as ask:
        for batch in _batches(entries):
            try:
                answer = await ask(ImportEntries(batch))
            except RecServeError as error:
                if not outcomes:
                    raise
                raise MemoryRefused(
                    f"{error}; {sum(outcomes.values())} of the {len(entries)} entries had been "
                    "taken in before that: import the file again, and they are known"
                ) from error
            for outcome, count in answer.items():
                outcomes[outcome] = outcomes.get(outcome, 0) + count
    return outcomes


def read_entries(file: Path) -> list[Entry]:
    """Read all entries of a file. Raises ``DataError``, which names the first line that is none."""
    try:
        with file.open("rb") as lines:
            read = [_read(line) for line in lines]
    except OSError as error:
        raise DataError(f"{file}: cannot be read ({error.strerror})") from error
    bad = [(number, each) for number, each in enumerate(read, 1) if isinstance(each, str)]
    if bad:
        number, fault = bad[0]
        others = f", and so are {len(bad) - 1} more of {len(read)}" if bad[1:] else ""
        raise DataError(
            f"{file}, line {number}: no entry of a memory ({fault}){others}; nothing was taken in: "
            "mend the line or remove it, and import again"
        )
    return [each for each in read if isinstance(each, Entry)]


def _read(line: bytes) -> Entry | str:
    """Return the entry of a line, or why it is none."""
    if len(line) > _ENTRY_BYTES:
        return f"{len(line):,} bytes, more than {_ENTRY_BYTES:,}"
    try:
        entry = msgspec.json.decode(line, type=Entry)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        return str(error)
    return f"it {fault}" if (fault := fault_of(entry)) else entry


def _batches(entries: Iterable[Entry]) -> Iterator[tuple[Entry, ...]]:
    """Yield as many as go into one message at a time."""
    batch: list[Entry] = []
    size = 0
    for entry in entries:
        its = len(msgspec.json.encode(entry))
        if batch and (len(batch) == PAGE or size + its > _BATCH_BYTES):
            yield tuple(batch)
            batch, size = [], 0
        batch.append(entry)
        size += its
    if batch:
        yield tuple(batch)
