"""The words that a tagger's tokens belong to, where they stand, and how they are written.

A tagger is asked of each word's first token, as taggers are trained. A vocabulary without capitals
does not show how a word is written, so a tagger may be told beside: as the token's type, of which
such models read two otherwise.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

PLAIN, CAPITALISED, CAPITALS, INITIAL, MIXED = range(5)
"""Ways of writing: no capital letter, the first alone, all, the only letter, any other."""
SHAPES: Final = 5


class Word(NamedTuple):
    """Its first and last token, and its first character and the first one behind."""

    first: int
    last: int
    start: int
    end: int


def words(
    text: str, numbers: Sequence[int | None], offsets: Sequence[tuple[int, int]]
) -> list[Word]:
    """Return the words that tokens make up.

    ``numbers`` say of each token which word it is part of (None: a special token), ``offsets`` its
    first character and the first one behind. Punctuation is no part of the word that it touches.
    """
    return [
        Word(run[0], run[-1], *_trimmed(text, offsets[run[0]][0], offsets[run[-1]][1]))
        for run in _runs(text, numbers, offsets)
    ]


def shapes(text: str, tokens: int, found: Sequence[Word]) -> list[int]:
    """Return for each of so many tokens how the word is written that it is part of."""
    of_tokens = [PLAIN] * tokens
    for word in found:
        shape = shape_of(text[word.start : word.end])
        for token in range(word.first, word.last + 1):
            of_tokens[token] = shape
    return of_tokens


def shape_of(word: str) -> int:
    """Return how a word is written, one of ``SHAPES`` ways."""
    if word.islower() or not any(map(str.isupper, word)):
        return PLAIN
    letters = [character for character in word if character.isalpha()]
    if len(letters) == 1:
        return INITIAL
    if all(map(str.isupper, letters)):
        return CAPITALS
    if word[0].isupper() and not any(map(str.isupper, word[1:])):
        return CAPITALISED
    return MIXED


def _runs(
    text: str, numbers: Sequence[int | None], offsets: Sequence[tuple[int, int]]
) -> Iterator[list[int]]:
    run: list[int] = []
    for token, number in enumerate(numbers):
        start, end = offsets[token]
        if number is None or start == end:
            continue
        marks = not any(map(str.isalnum, text[start:end]))
        apart = run and (numbers[run[-1]] != number or marks or not _joins(text, offsets[run[-1]]))
        if apart:
            yield run
            run = []
        run.append(token)
    if run:
        yield run


def _joins(text: str, place: tuple[int, int]) -> bool:
    return any(map(str.isalnum, text[place[0] : place[1]]))


def _trimmed(text: str, start: int, end: int) -> tuple[int, int]:
    """Return a word's place without the spaces that some tokenizers count among its characters."""
    while start < end - 1 and text[start].isspace():
        start += 1
    while end > start + 1 and text[end - 1].isspace():
        end -= 1
    return start, end
