"""What is done about rows that cannot be read: counted, and skipped or fatal."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, TypeVar

from shared.errors import DataError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

_Row = TypeVar("_Row")
_Read = TypeVar("_Read")
_SHOWN: Final = 5
_LONGEST: Final = 300


def cut(text: str) -> str:
    """Return a text that fits into a sentence."""
    return text if len(text) <= _LONGEST else f"{text[:_LONGEST]} …"


class BadRow(Exception):
    """A row cannot be read; the text says why and names neither file nor line."""


class Faults:
    """The bad rows of one file.

    ``first`` has a sentence for each of the first few. Unless they are to be skipped, the first one
    raises ``DataError``.
    """

    def __init__(self, path: str, *, skip: bool) -> None:
        self.path = path
        self.count = 0
        self.first: list[str] = []
        self._skip = skip

    def note(self, line: int, reason: object) -> None:
        """Count a bad row, or stop at it."""
        sentence = f"{self.path}, line {line}: {cut(str(reason))}"
        if not self._skip:
            raise DataError(sentence)
        self.count += 1
        if len(self.first) < _SHOWN:
            self.first.append(sentence)

    def each(
        self, rows: Iterable[tuple[int, _Row]], read: Callable[[_Row], _Read]
    ) -> Iterator[tuple[int, _Read]]:
        """Yield line and what ``read`` makes of every row; note where it raises ``BadRow``."""
        for line, row in rows:
            try:
                made = read(row)
            except BadRow as error:  # noqa: PERF203 - rows are what this loop is for
                self.note(line, error)
            else:
                yield line, made
