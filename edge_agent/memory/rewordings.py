"""Which questions are one in other words, as far as answers to both have told.

A rewording is a pair of questions with their names masked, of which is counted how often the
answers agreed. That tells "who directed [X]" (the same as "who was the director of [X]", once that
is known) from "who produced [X]", at cosines that say nothing. What two questions are to a third,
they are to each other: four ways of asking need three pairs to be known, not six.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from edge_agent.memory.guards import difference
from edge_agent.memory.wording import MASK, read_question

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

    from edge_agent.memory.wording import Question

UNPROVED: Final = 0.5
"""The share of a pair of which nothing is known."""
KNOWN: Final = 0.6
"""Share of answers that agreed for two forms of a question, from which on they count as one."""
_PAIR_PRIOR: Final = (0.5, 0.5)
_AGREEMENT: Final = 0.86
"""How often a cloud that is right 93 times of 100 says the same twice when it is asked the same."""


class Rewordings:
    """Pairs of masked questions, and how often the answers to both agreed."""

    def __init__(self) -> None:
        self._seen: dict[str, dict[str, list[int]]] = {}

    def share(self, asked: Question, known: Question) -> float:
        """Return how often such a pair was one question; 0.5 where nothing is known of it."""
        return self.share_of(*_pair(asked, known))

    def share_of(self, one: str, other: str) -> float:
        """Return the same for two masked questions.

        Of two that never met it is the lesser of what both are to a third, the best of those.
        """
        if one == other:
            return 1.0
        first, second = self._seen.get(one, {}), self._seen.get(other, {})
        if other in first:
            return _share(first[other])
        through = (
            min(_share(first[each]), _share(second[each])) for each in first.keys() & second.keys()
        )
        return max(through, default=UNPROVED)

    def same_kind(self, one: str, other: str) -> bool:
        """Return whether two masked questions are known to ask for the same."""
        return one == other or (
            self.share_of(one, other) >= KNOWN
            and not difference(read_question(one), read_question(other))
        )

    def forms_of(self, masked: str) -> list[str]:
        """Return a masked question and all that are known to ask for the same."""
        near = self._seen.get(masked, {})
        met = {masked, *near, *(far for each in near for far in self._seen[each])}
        return [each for each in met if self.share_of(masked, each) >= KNOWN]

    def note(self, asked: Question, known: Question, *, same: bool) -> None:
        """Count one pair."""
        one, other = _pair(asked, known)
        if one != other:
            seen = self._seen.get(one, {}).get(other, [0, 0])
            seen[0 if same else 1] += 1
            self._put(one, other, seen)

    def lose(self, forms: Collection[str]) -> bool:
        """Forget every pair of which one is among ``forms``; return whether there was any."""
        rows = self.rows()
        kept = [row for row in rows if row[0] not in forms and row[1] not in forms]
        self._seen = {}
        self.take(kept)
        return len(kept) < len(rows)

    def rows(self) -> list[tuple[str, str, int, int]]:
        """Return everything counted, to be kept."""
        return [
            (one, other, same, not_same)
            for one, known in self._seen.items()
            for other, (same, not_same) in known.items()
            if one < other
        ]

    def take(self, rows: Sequence[tuple[str, str, int, int]]) -> None:
        """Take what was kept."""
        for one, other, same, not_same in rows:
            self._put(one, other, [same, not_same])

    def _put(self, one: str, other: str, seen: list[int]) -> None:
        self._seen.setdefault(one, {})[other] = seen
        self._seen.setdefault(other, {})[one] = seen


def template(question: Question, other: Question) -> str:
    """Return a question with its names masked; where it has none, with those of the other."""
    if question.names or not other.names:
        return question.masked
    text = f" {' '.join(question.words)} "
    for name in other.names:
        text = text.replace(f" {' '.join(name)} ", f" {MASK} ")
    return text.strip()


def _share(seen: Sequence[int]) -> float:
    """Return how often a pair agreed, against how often one question would."""
    same, not_same = seen
    agreed = (same + _PAIR_PRIOR[0]) / (same + not_same + sum(_PAIR_PRIOR))
    return min(1.0, agreed / _AGREEMENT)


def _pair(asked: Question, known: Question) -> tuple[str, str]:
    """Return both questions with their names masked, in a fixed order."""
    one, other = sorted((template(asked, known), template(known, asked)))
    return one, other
