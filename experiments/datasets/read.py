"""Read a labelled set for a model, from a file or from the Hugging Face hub.

A label is one of the model's names or, failing that, a number from 0. Whatever is wrong is found
here, before any model runs, and named by file and row; the first line of a file is row 1.
"""

from __future__ import annotations

import os
import re
from contextlib import closing
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Final

from experiments.datasets.files import read_file
from experiments.datasets.sets import LabelledSet, Part, draw_rows
from experiments.datasets.source import HUB, RawRow, Source
from shared.errors import DataError

if TYPE_CHECKING:
    from collections.abc import Generator, Iterator, Mapping, Sequence

DATA_VARIABLE: Final = "RECSERVE_DATA"
_NUMBER: Final = re.compile(r"(\d{1,9})(?:\.0*)?", re.ASCII)
_SHOWN: Final = 80
_SPLITS: Final = frozenset({"train", "dev", "validation", "test"})


def read_set(
    source: Source, label_names: Sequence[str], environ: Mapping[str, str] = os.environ
) -> LabelledSet:
    """Read a set for a model that knows ``label_names``.

    A relative path that is not there is looked up below the folder that ``RECSERVE_DATA`` names.
    Raises ``DataError`` naming the file and the row that is wrong.
    """
    place, name, rows = open_source(source, environ)
    names = tuple(label_names)
    found = [_check(row, place, names) for row in rows]
    if not found:
        raise DataError(f"{place}: has no rows; give a set with labelled prompts")
    if source.pick == "drawn" and source.rows is not None and source.rows < len(found):
        found = [found[row] for row in draw_rows(len(found), source.rows, source.seed)]
    texts, labels = zip(*found, strict=True)
    return LabelledSet(name, texts, labels, names, (Part(name, len(texts)),))


def open_source(source: Source, environ: Mapping[str, str]) -> tuple[str, str, Iterator[RawRow]]:
    """Return where a source was found, its name for people, and its rows, the first if so wanted.

    Rows are read as they are asked for, which raises ``DataError`` naming the one that is wrong.
    """
    place, rows = _open(source, environ)
    return place, source.name or _name(source.place), _wanted(rows, source)


def _wanted(rows: Generator[RawRow, None, None], source: Source) -> Iterator[RawRow]:
    with closing(rows):
        yield from _first(rows, source)


def _open(source: Source, environ: Mapping[str, str]) -> tuple[str, Generator[RawRow, None, None]]:
    if source.place.startswith(HUB):
        from experiments.datasets.hub import read_hub  # noqa: PLC0415 - heavy

        return source.place, read_hub(source)
    path = _find(source.place, environ)
    return str(path), read_file(path, source)


def _first(rows: Iterator[RawRow], source: Source) -> Iterator[RawRow]:
    return islice(rows, source.rows) if source.pick == "first" else rows


def _find(place: str, environ: Mapping[str, str]) -> Path:
    path, folder = Path(place).expanduser(), environ.get(DATA_VARIABLE, "")
    below = Path(folder).expanduser() / path
    if not path.exists() and folder and below.exists():
        path = below
    if not path.is_file():
        looked = f"{place} or {below}" if folder and below != path else place
        raise DataError(f"{looked}: there is no such file; check the path or {DATA_VARIABLE}")
    return path


def _name(place: str) -> str:
    """Return ``imdb-test`` for ``data/imdb/test.tsv.gz`` and for ``hub:stanford/imdb@test``."""
    if place.startswith(HUB):
        dataset, _, split = place[len(HUB) :].partition("@")
        return f"{dataset.rpartition('/')[2]}-{split or 'test'}"
    path = Path(place)
    stem = path.name.split(".", 1)[0]
    return f"{path.resolve().parent.name}-{stem}" if stem in _SPLITS else stem


def _check(row: RawRow, place: str, names: tuple[str, ...]) -> tuple[str, int]:
    if not isinstance(row.text, str) or not row.text.strip():
        raise DataError(f"{place}: row {row.number} has no text; remove it or fill it in")
    label = row.label
    if label is None or (isinstance(label, str) and not label.strip()):
        raise DataError(f"{place}: row {row.number} has no label; only labelled rows can be judged")
    index = label_index(label, names)
    if index is None:
        shown = repr(label)
        raise DataError(
            f"{place}: row {row.number} has the label "
            f"{shown if len(shown) <= _SHOWN else shown[:_SHOWN] + ' …'}, but the model knows "
            f"{', '.join(names)}; use these or their numbers from 0"
        )
    return row.text, index


def label_index(label: object, names: Sequence[str]) -> int | None:
    """Return which of the names a label is, or whose number from 0; pandas may have made it 1.0."""
    text = "" if isinstance(label, bool) else str(label).strip()
    if text in names:
        return names.index(text)
    number = _NUMBER.fullmatch(text)
    index = int(number[1]) if number else len(names)
    return index if index < len(names) else None
