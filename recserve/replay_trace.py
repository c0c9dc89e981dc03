"""The arrivals of a replay: read from a trace, and joined to texts where the trace has none.

Two forms are read: our own JSONL (``at_s``, ``text`` and, if known, ``device``, ``task``,
``label``, ``deadline_s``), and the Azure LLM inference traces (``TIMESTAMP``, ``ContextTokens``,
``GeneratedTokens``). A trace without texts takes them from a prompt set: the longer a request was
among its like, the longer the prompt it gets.
"""

from __future__ import annotations

import csv
import gzip
import random
import zlib
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final, NamedTuple

import msgspec
from msgspec import Meta

from experiments.set_files import read_file
from experiments.sources import parse_source
from recserve.demo.prompts import read_prompts
from shared.errors import DataError
from shared.messages import Task

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from rich.console import Console

    from recserve.replay_settings import TraceChoice

_AZURE: Final = ["TIMESTAMP", "ContextTokens", "GeneratedTokens"]
_MICROSECONDS: Final = len("2023-11-16 18:15:46.680590")
_SPREAD: Final = 0.05
_SHOWN: Final = 3
_At = Annotated[float, Meta(ge=0)]


class Arrival(msgspec.Struct, frozen=True):
    """One prompt of a trace; ``at_s`` counts from the trace's beginning."""

    at_s: _At
    text: str = ""
    device: str = ""
    task: Task = "classify"
    label: str | None = None
    deadline_s: Annotated[float, Meta(gt=0)] | None = None
    priority: int = 0
    input_tokens: int = 0
    output_tokens: int = 0


class _Fault(NamedTuple):
    row: int
    what: str


def read_arrivals(trace: TraceChoice, console: Console) -> list[Arrival]:
    """Return the arrivals in order of time, every one with a text.

    Rows that cannot be read are named and skipped, or raise ``DataError``, as the settings want.
    """
    path = Path(trace.file)
    read = _reader(path, trace.format)
    arrivals: list[Arrival] = []
    faults: list[_Fault] = []
    for found in read(path):
        if isinstance(found, _Fault):
            if trace.bad_rows == "fatal":
                raise DataError(f"{path}: row {found.row} {found.what}")
            faults.append(found)
        else:
            arrivals.append(found)
    for fault in faults[:_SHOWN]:
        console.print(f"{path}: row {fault.row} {fault.what}; skipped", markup=False)
    if len(faults) > _SHOWN:
        console.print(f"{path}: {len(faults)} rows were skipped in all", markup=False)
    if not arrivals:
        raise DataError(f"{path}: has no row that can be played")
    arrivals.sort(key=lambda arrival: arrival.at_s)
    if any(arrival.text for arrival in arrivals):
        return arrivals
    return join_texts(arrivals, _texts(trace), trace.seed)


def join_texts(
    arrivals: Sequence[Arrival], texts: Sequence[tuple[str, str | None]], seed: int
) -> list[Arrival]:
    """Give every arrival a text whose rank in length is about that of its tokens.

    Equal seeds give equal texts.
    """
    draw = random.Random(seed)  # noqa: S311 - texts for a load, no secret
    by_length = sorted(texts, key=lambda pair: len(pair[0]))
    order = sorted(range(len(arrivals)), key=lambda index: arrivals[index].input_tokens)
    joined = list(arrivals)
    for rank, index in enumerate(order):
        wanted = rank / max(len(order) - 1, 1) + draw.uniform(-_SPREAD, _SPREAD)
        text, label = by_length[round(min(max(wanted, 0.0), 1.0) * (len(by_length) - 1))]
        joined[index] = msgspec.structs.replace(joined[index], text=text, label=label)
    return joined


def _texts(trace: TraceChoice) -> list[tuple[str, str | None]]:
    if not trace.texts:
        return [(prompt.text, prompt.label) for prompt in read_prompts()]
    found = [
        (row.text, _label(row.label, trace.labels))
        for row in read_file(Path(trace.texts), parse_source(trace.texts))
        if isinstance(row.text, str) and row.text.strip()
    ]
    if not found:
        raise DataError(f"{trace.texts}: has no text; give a set of prompts")
    return found


def _label(label: Any, names: Sequence[str]) -> str | None:
    """Return a label by its name; a number stands for a name, from 0."""
    text = "" if label is None else str(label).strip()
    if text.isdecimal() and int(text) < len(names):
        return names[int(text)]
    return text or None


def _reader(path: Path, format_: str) -> Callable[[Path], Iterator[Arrival | _Fault]]:
    readers = {"recserve": _read_own, "azure": _read_azure}
    name = format_
    if format_ == "auto":
        name = "azure" if ".csv" in path.suffixes else "recserve"
    if name not in readers:
        raise DataError(f"{path}: no format is called {name!r}; known: {', '.join(readers)}")
    return readers[name]


def _read_own(path: Path) -> Iterator[Arrival | _Fault]:
    decode = msgspec.json.Decoder(Arrival).decode
    for row, line in _lines(path):
        if not line.strip():
            continue
        try:
            arrival = decode(line)
        except (msgspec.DecodeError, UnicodeDecodeError) as error:
            yield _Fault(row, f"is no arrival: {error}")
            continue
        if arrival.text.strip():
            yield arrival
        else:
            yield _Fault(row, "has no text")


def _read_azure(path: Path) -> Iterator[Arrival | _Fault]:
    zero: datetime | None = None
    for row, line in _lines(path):
        cells = next(csv.reader([line.decode(errors="replace")]), [])
        if row == 1:
            if cells != _AZURE:
                raise DataError(f"{path}: row 1 must be the header {','.join(_AZURE)}")
            continue
        try:
            stamp, tokens, output = cells
            at = datetime.fromisoformat(stamp[:_MICROSECONDS])
            arrival_tokens = int(tokens), int(output)
        except ValueError:
            yield _Fault(row, f"is not {', '.join(_AZURE)}: {line.decode(errors='replace')!r}")
            continue
        zero = zero or at
        at_s = (at - zero).total_seconds()
        if at_s < 0:
            yield _Fault(row, "lies before the first one")
            continue
        yield Arrival(at_s, input_tokens=arrival_tokens[0], output_tokens=arrival_tokens[1])


def _lines(path: Path) -> Iterator[tuple[int, bytes]]:
    """Yield (row, line) of a plain or gzip file; raises ``DataError`` that names it."""
    row = 0
    try:
        with gzip.open(path) if path.suffix == ".gz" else path.open("rb") as file:
            for row, line in enumerate(file, start=1):
                yield row, line.rstrip(b"\r\n")
    except (EOFError, zlib.error, gzip.BadGzipFile) as error:
        raise DataError(f"{path}: the gzip is broken after row {row} ({error})") from error
    except OSError as error:
        raise DataError(f"{path}: cannot be read ({error.strerror})") from error
