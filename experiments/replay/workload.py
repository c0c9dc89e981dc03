"""The arrivals of a replay: a trace of any known format, with texts where it has none.

A trace whose arrivals all have a text needs no prompt set. Labels that a set numbers get names.
Where texts are to be written, each arrival asks for as many tokens as the trace's answer had.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import msgspec

from experiments.datasets.bundled import read_prompts
from experiments.datasets.files import read_file
from experiments.datasets.read import label_index
from experiments.datasets.source import Source
from experiments.traces import read_trace
from experiments.traces.joining import Text, join
from shared.errors import DataError
from shared.tasks.generate import MOST_NEW_TOKENS

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from rich.console import Console

    from experiments.replay.settings import TraceChoice
    from experiments.traces import Arrival
    from experiments.traces.faults import Faults
    from shared.tasks import Task

_WORTH_SAYING_S: Final = 1.0


class Arrivals(NamedTuple):
    """Arrivals in order of time, read as they are asked for; ``faults`` fills meanwhile."""

    each: Iterator[Arrival]
    faults: Faults

    def say(self, console: Console, silence_s: float) -> None:
        """Name the rows that were skipped, and a silence before the first arrival."""
        sentences = [f"skipped {sentence}" for sentence in self.faults.first]
        if self.faults.count:
            sentences.append(f"{self.faults.path}: {self.faults.count:,} bad rows were skipped")
        if silence_s >= _WORTH_SAYING_S:
            sentences.append(
                f"{self.faults.path}: {silence_s:,.0f} s without an arrival, at the beginning, "
                "are not played"
            )
        for sentence in sentences:
            console.print(sentence, markup=False, highlight=False)


def read_arrivals(trace: TraceChoice) -> Arrivals:
    """Begin to read a trace; raises ``DataError`` that names the file, and the row where it can."""
    skip = trace.bad_rows == "skip"
    found = read_trace(trace.file, format_=trace.format, seed=trace.seed, skip_bad_rows=skip)
    asked = (_asked(arrival, trace.task) for arrival in found.arrivals)
    return Arrivals(join(asked, _texts(trace), trace.seed), found.faults)


def absolute(place: str) -> str:
    """Return the place of a trace so that a run started elsewhere finds it, too."""
    return os.path.abspath(place) if Path(place).exists() else place  # noqa: PTH100 - of a text


def _asked(arrival: Arrival, task: Task) -> Arrival:
    """Return an arrival as it is to be asked; one that has a text says so itself."""
    if arrival.text or task == "classify":
        return arrival
    options = arrival.options
    if task == "generate" and arrival.output_tokens is not None:
        new_tokens = min(max(arrival.output_tokens, 1), MOST_NEW_TOKENS)
        options = {"max_new_tokens": new_tokens} | options
    return msgspec.structs.replace(arrival, task=task, options=options)


def _texts(trace: TraceChoice) -> list[Text]:
    classified = trace.task == "classify"
    if not trace.texts:  # whose labels are right for nothing but to classify
        return [Text(each.text, each.label if classified else None) for each in read_prompts()]
    source = Source(place=trace.texts, text=trace.text, label=trace.label)
    names = trace.labels if classified else ()
    found = [
        Text(row.text, _label(row.label, names))
        for row in read_file(Path(trace.texts), source)
        if isinstance(row.text, str) and row.text.strip()
    ]
    if not found:
        raise DataError(f"{trace.texts}: has no text; give a set of prompts")
    return found


def _label(label: Any, names: Sequence[str]) -> str | None:
    """Return a label by its name; a number stands for a name, from 0."""
    index = label_index(label, names)
    if index is not None:
        return names[index]
    return None if label is None else str(label).strip() or None
