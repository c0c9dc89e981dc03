"""Gives texts to a trace that has none: prompts of a set, of about the lengths that it asks for.

The trace's lengths are tokens of some large model; those of a text are estimated as 1.3 a word. The
nearest text that was not used yet is taken; when all are used, all may be used again. Arrivals that
name no length get texts in a shuffled order.
"""

from __future__ import annotations

import random
from typing import TYPE_CHECKING, Final, NamedTuple

import msgspec
from sortedcontainers import SortedList

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from experiments.traces.arrival import Arrival

TOKENS_PER_WORD: Final = 1.3


class Text(NamedTuple):
    """A prompt of the set, with its label if it has one."""

    text: str
    label: str | None = None

    @property
    def tokens(self) -> float:
        """About how long it is."""
        return TOKENS_PER_WORD * len(self.text.split())


def join(arrivals: Iterable[Arrival], texts: Sequence[Text], seed: int) -> Iterator[Arrival]:
    """Yield the arrivals, each with a text; one that has a text keeps it."""
    if not texts:
        raise ValueError("there is no text to give")
    draw = random.Random(seed)  # noqa: S311 - guards nothing
    shuffled = draw.sample(range(len(texts)), len(texts))
    pool = _Pool(texts, shuffled)
    for arrival in arrivals:
        if arrival.text:
            yield arrival
            continue
        chosen = texts[pool.take(arrival.input_tokens)]
        yield msgspec.structs.replace(arrival, text=chosen.text, label=chosen.label)


class _Pool:
    """The texts that were not used yet, by length; equal ones in the shuffled order."""

    def __init__(self, texts: Sequence[Text], shuffled: list[int]) -> None:
        self._all = [(texts[row].tokens, place, row) for place, row in enumerate(shuffled)]
        self._refill()

    def take(self, tokens: int | None) -> int:
        if not self._by_length:
            self._refill()
        entry = self._any() if tokens is None else self._nearest(tokens)
        self._by_length.remove(entry)
        return entry[2]

    def _refill(self) -> None:
        self._by_length: SortedList[tuple[float, int, int]] = SortedList(self._all)
        self._next = 0

    def _any(self) -> tuple[float, int, int]:
        while self._all[self._next] not in self._by_length:
            self._next += 1
        return self._all[self._next]

    def _nearest(self, tokens: int) -> tuple[float, int, int]:
        place = self._by_length.bisect_left((tokens, -1, -1))
        around: list[tuple[float, int, int]] = self._by_length[max(place - 1, 0) : place + 1]
        return min(around, key=lambda entry: abs(entry[0] - tokens))
