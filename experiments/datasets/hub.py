"""Read a labelled set of the Hugging Face hub, where the library ``datasets`` is installed.

Leaves out everything that ``experiments.datasets.read`` checks for every kind of set.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from experiments.datasets.source import HUB, RawRow, Source
from shared.errors import DataError, RuntimeUnavailable

if TYPE_CHECKING:
    from collections.abc import Generator

_SPLIT: Final = "test"


def read_hub(source: Source) -> Generator[RawRow, None, None]:
    """Yield the rows of ``hub:dataset`` or ``hub:dataset@split``, numbered from 1.

    A label is yielded as the number that the set gives it. Raises ``RuntimeUnavailable`` without
    the library, and ``DataError`` when the set, its split or a column is not there.
    """
    try:
        import datasets  # noqa: PLC0415 - heavy, and seldom installed
    except ModuleNotFoundError as error:
        raise RuntimeUnavailable(
            f"{source.place}: reading from the hub needs {error.name}, which is not installed "
            "here; pip install datasets, or give a .tsv or .jsonl file"
        ) from error
    dataset, _, split = source.place[len(HUB) :].partition("@")
    try:
        loaded = datasets.load_dataset(dataset, split=split or _SPLIT)
    except Exception as error:
        reason = str(error).split("\n", 1)[0]
        raise DataError(
            f"{source.place}: cannot be loaded ({type(error).__name__}: {reason}); check the name, "
            "the split and the network, or give a .tsv or .jsonl file"
        ) from error
    return _rows(loaded, source)


def _rows(loaded: Any, source: Source) -> Generator[RawRow, None, None]:
    for column in (source.text, source.label):
        if column not in loaded.column_names:
            raise DataError(
                f"{source.place}: has no column {column!r}, only "
                f"{', '.join(loaded.column_names)!r}; name the columns of text and label"
            )
    for number, entry in enumerate(loaded, 1):
        yield RawRow(number, entry[source.text], entry[source.label])
