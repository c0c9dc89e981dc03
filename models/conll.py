"""Read files of sentences whose entities are marked, in the form of CoNLL-2003.

A line is a token, whatever else, and last its tag, parted by spaces or tabs; a blank line ends a
sentence, and one that begins with ``-DOCSTART-`` is left out. Tags are read as IOB1, IOB2 or
plain IO. A sentence's text is its tokens with a space between.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import islice
from typing import TYPE_CHECKING, Final, NoReturn

from shared.errors import DataError
from shared.tasks.tag import Token, entities
from shared.text_files import Line, read_lines

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

_DOCUMENT: Final = "-DOCSTART-"
_MARKS: Final = ("B", "I")

Place = tuple[str, int, int]
"""What is named, its first character, and the first one behind."""


@dataclass(frozen=True)
class Sentence:
    """A text, and the places of its entities in order."""

    text: str
    places: tuple[Place, ...]


def read_sentences(path: Path, sentences: int | None = None) -> list[Sentence]:
    """Read the first ``sentences`` of a file, or all.

    Raises ``DataError`` naming the file, and the line that is wrong.
    """

    def fault(number: int, reason: str) -> NoReturn:
        raise DataError(f"{path}: line {number} {reason}")

    groups = _sentences(read_lines(path, fault))
    read = [_sentence(group, path) for group in islice(groups, sentences)]
    if not read:
        raise DataError(f"{path}: has no sentence; a line is a token, a space and its tag")
    return read


def _sentences(lines: Iterator[Line]) -> Iterator[list[Line]]:
    """Part lines where a number is missing, since blank ones are not among them."""
    group: list[Line] = []
    for line in lines:
        if group and line.number != group[-1].number + 1:
            yield group
            group = []
        if not line.text.startswith(_DOCUMENT):
            group.append(line)
    if group:
        yield group


def _sentence(lines: Sequence[Line], path: Path) -> Sentence:
    words: list[Token] = []
    start = 0
    for line in lines:
        cells = line.text.split()
        if len(cells) < 2:  # noqa: PLR2004 - a token and its tag
            raise DataError(f"{path}: line {line.number} has a token without a tag")
        word, tag = cells[0], cells[-1]
        mark, dash, kind = tag.partition("-")
        if tag != "O" and not (dash and kind and mark in _MARKS):
            raise DataError(
                f"{path}: line {line.number} has the tag {tag[:40]!r}; a tag is O, or B- or I- "
                "and what is named"
            )
        words.append(Token(tag, start, start + len(word), 1.0))
        start += len(word) + 1
    text = " ".join(line.text.split(maxsplit=1)[0] for line in lines)
    return Sentence(text, tuple(span.place for span in entities(words).spans))
