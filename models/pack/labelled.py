"""Read labelled TSV files and measure a model on them.

The files have a header line, one row a line, tabs between columns and no quoting, and may be
packed. The texts are in the column ``text``.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Final, NoReturn, Protocol

from shared.errors import BundleError, DataError, PromptError, SettingsError
from shared.runtimes import labels_of
from shared.runtimes.manifest import MeasuredQuality
from shared.tasks import score
from shared.tasks.classify import requests
from shared.text_files import Line, read_lines

if TYPE_CHECKING:
    from collections.abc import Sequence

    from shared.messages import Scored
    from shared.runtimes import Model
    from shared.runtimes.manifest import MeasuredEntities

_FIRST_ROW = 2
_CHUNK_PROMPTS = 256
_SHOWN: Final = 300


class MeasuringSet(Protocol):
    """Texts on which a model of some task is measured."""

    @property
    def name(self) -> str:
        """What the set is called in the manifest."""

    @property
    def texts(self) -> tuple[str, ...]:
        """What is asked."""

    def check(self, labels: Sequence[str]) -> None:
        """Raise ``DataError`` where the set names what a model with these labels does not."""

    def measure(self, model: Model) -> MeasuredQuality | MeasuredEntities:
        """Answer every text once and compare, or raise ``BundleError`` where the model fails."""


@dataclass(frozen=True)
class EvaluationSet:
    """Texts of one file with the labels its column gives them, as written there."""

    name: str
    path: Path
    texts: tuple[str, ...]
    labels: tuple[str, ...]

    def check(self, labels: Sequence[str]) -> None:
        """Raise ``DataError`` naming the first row whose label is none of a model's."""
        truth_of(labels, self)

    def measure(self, model: Model) -> MeasuredQuality:
        """Answer every text once and compare, or raise ``BundleError`` where the model fails."""
        return measure(model, self)


def read_labelled(argument: str, rows: int | None = None) -> EvaluationSet:
    """Read what ``set=path`` or ``set=path:column`` names; the column is ``label`` if not given.

    Raises ``SettingsError`` naming the argument, or ``DataError`` the file, the column or the row
    that is wrong.
    """
    name, rest = named(argument)
    place, _, column = rest.rpartition(":")
    if not place:
        place, column = rest, "label"
    if not column:
        raise _odd(argument)
    path = Path(place)
    texts, labels = read_columns(path, ("text", column), rows)
    return EvaluationSet(name, path, texts, labels)


def named(argument: str) -> tuple[str, str]:
    """Return the name and the place in ``set=place``, or raise ``SettingsError``."""
    name, _, place = argument.partition("=")
    if not (name and place):
        raise _odd(argument)
    return name, place


def _odd(argument: str) -> SettingsError:
    return SettingsError(f"--evaluate {argument!r} is not of the form set=path or set=path:column")


def read_texts(path: Path) -> tuple[str, ...]:
    """Read the column ``text`` of a TSV file, or raise ``DataError``."""
    (texts,) = read_columns(path, ("text",), None)
    return texts


def truth_of(labels: Sequence[str], data: EvaluationSet) -> list[int]:
    """Return for each row which of a model's ``labels`` it has, by name or by number from 0.

    Raises ``DataError`` naming the first row whose label the model does not know.
    """
    return [_index(labels, data, row) for row in range(len(data.texts))]


def measure(model: Model, data: EvaluationSet) -> MeasuredQuality:
    """Answer every text once and compare. Raises ``BundleError`` when the model fails on one."""
    labels = labels_of(model)
    truth = truth_of(labels, data)
    right, confidence = 0, 0.0
    for start in range(0, len(truth), _CHUNK_PROMPTS):
        entries = model.answer(requests(data.texts[start : start + _CHUNK_PROMPTS]))
        for row, entry in enumerate(entries, start):
            scored = scored_or_raise(entry, f"{data.path}: row {row + _FIRST_ROW}")
            right += score(scored.answer, labels[truth[row]]) == 1.0
            confidence += scored.certainty
    return MeasuredQuality(
        rows=len(truth),
        accuracy=round(right / len(truth), 4),
        mean_confidence=round(confidence / len(truth), 4),
    )


def scored_or_raise(entry: Scored | PromptError, where: str) -> Scored:
    """Return the answer, or raise ``BundleError`` where the model failed."""
    if isinstance(entry, PromptError):
        raise BundleError(f"{where}: {entry}") from entry
    return entry


def _index(labels: Sequence[str], data: EvaluationSet, row: int) -> int:
    label = data.labels[row]
    if label in labels:
        return labels.index(label)
    numbers = [str(number) for number in range(len(labels))]
    if label in numbers:
        return numbers.index(label)
    raise DataError(
        f"{data.path}: row {row + _FIRST_ROW} has the label {label[:_SHOWN]!r}, but the model "
        f"knows {', '.join(labels)}; use these or their numbers from 0"
    )


def read_columns(
    path: Path, wanted: Sequence[str], rows: int | None = None
) -> tuple[tuple[str, ...], ...]:
    """Read columns of a TSV file, of the first ``rows`` rows at most, or raise ``DataError``."""

    def fault(number: int, reason: str) -> NoReturn:
        raise DataError(f"{path}: row {number} {reason}")

    lines = read_lines(path, fault)
    first = next(lines, None)
    header = first.text.split("\t") if first else []
    for column in wanted:
        if column not in header:
            has = ", ".join(header)[:_SHOWN]
            raise DataError(f"{path}: has no column {column!r}, only {has}")
    cells = [_cells(line, len(header), path) for line in islice(lines, rows)]
    if not cells:
        raise DataError(f"{path}: has no rows below its header")
    return tuple(tuple(row[header.index(column)] for row in cells) for column in wanted)


def _cells(line: Line, columns: int, path: Path) -> list[str]:
    cells = line.text.split("\t")
    if len(cells) != columns:
        raise DataError(
            f"{path}: row {line.number} has {len(cells)} columns, but the header has {columns}"
        )
    return cells
