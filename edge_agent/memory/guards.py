"""Differences between two questions that no likeness outweighs.

Opposites lie nearer to each other than most paraphrases (cosines of 0.94 to 0.98), so no threshold
on a likeness tells them apart. What is looked at here are the words: names, numbers, negations,
words that exclude each other, what is asked for, and who does what to whom. A guard that is wrong
costs a question to the tier above; one that is missing costs a wrong answer.
"""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Final

from edge_agent.memory.opposites import NEGATIONS, exclude_each_other
from edge_agent.memory.wording import FUNCTION_WORDS, stem, word_set

if TYPE_CHECKING:
    from collections.abc import Callable

    from edge_agent.memory.wording import Question

_TWO: Final = 2
_TYPO_LETTERS: Final = 5
_DIRECTED: Final = word_set(
    "in out on off up down over under before after above below with without for against to from "
    "into by"
)


def difference(asked: Question, known: Question) -> str:
    """Return why two questions cannot be one: names, numbers, polarity, opposites, ... or nothing.

    It is the same in both directions.
    """
    if asked.normal == known.normal:
        return ""
    return next((name for name, parts in _GUARDS.items() if parts(asked, known)), "")


def name_overlap(asked: Question, known: Question) -> float:
    """Return the share of name words in common, by number; 1 where neither has any."""
    one, other = asked.name_words, known.name_words
    if not one and not other:
        return 1.0
    if not one or not other:
        present, needed = (asked, other) if not one else (known, one)
        return len(needed & set(present.words)) / len(needed)
    return len(one & other) / len(one | other)


def same_names(asked: Question, known: Question) -> bool:
    """Return whether each name of one question stands in the other.

    Two letters exchanged in a long word are a slip; any other difference is another name. A
    question without capitals has no names of its own: it must have the other's words, and nothing
    else that could be one.
    """
    return _covers(asked, known) and _covers(known, asked)


def _covers(one: Question, other: Question) -> bool:
    """Return whether every name word of ``one`` stands in ``other``."""
    there = set(other.words)
    missing = [
        word
        for word in one.name_words - there
        if word not in FUNCTION_WORDS and not any(_slip(word, each) for each in there)
    ]
    if not missing:
        return True
    # A word that only one of them capitalises, as in titles, is matter and no name.
    stems = set(other.stems)
    return not other.names and all(stem(word) in stems for word in missing)


def _slip(word: str, other: str) -> bool:
    """Return whether two neighbouring letters of a long word are exchanged."""
    if len(word) != len(other) or len(word) < _TYPO_LETTERS or word == other:
        return False
    apart = [place for place in range(len(word)) if word[place] != other[place]]
    return (
        len(apart) == _TWO
        and apart[1] == apart[0] + 1
        and word[apart[0]] == other[apart[1]]
        and word[apart[1]] == other[apart[0]]
    )


def _negations(question: Question) -> int:
    """Return 1 where a question is negated an odd number of times."""
    return sum(word in NEGATIONS or word.endswith("n't") for word in question.words) % 2


def _has_opposites(asked: Question, known: Question) -> bool:
    only_asked, only_known = _alone(asked, known), _alone(known, asked)
    return any(exclude_each_other(one, other) for one in only_asked for other in only_known)


def _other_matter(asked: Question, known: Question) -> bool:
    """Return whether one matter was exchanged for another where neither question has a name.

    Its names, if it has any, are then among its matter: what a question without capitals is about.
    """
    if asked.names or known.names:
        return False
    one, other = set(asked.stems), set(known.stems)
    return bool(one - other) and bool(other - one)


def _alone(one: Question, other: Question) -> list[str]:
    """Return the words of one question that the other has less often, names left out."""
    words = Counter(one.words) - Counter(other.words)
    stems = Counter(map(stem, one.words)) - Counter(map(stem, other.words))
    return [
        word
        for word in words
        if (word in _DIRECTED or stem(word) in stems) and word not in one.name_words
    ]


def _swapped(asked: Question, known: Question) -> bool:
    """Return whether the same names, numbers or words stand in another order."""
    names = asked.name_words | known.name_words
    return any(
        one != other and sorted(one) == sorted(other)
        for one, other in (
            (_among(asked, names), _among(known, names)),
            (asked.numbers, known.numbers),
            (_without(asked, names), _without(known, names)),
        )
    )


def _among(question: Question, names: frozenset[str]) -> list[str]:
    return [word for word in question.words if word in names]


def _without(question: Question, names: frozenset[str]) -> list[str]:
    """Return what carries matter outside the names, in order."""
    return [
        stem(word) for word in question.words if word not in names and word not in FUNCTION_WORDS
    ]


_GUARDS: Final[dict[str, Callable[[Question, Question], bool]]] = {
    "names": lambda asked, known: not same_names(asked, known),
    "numbers": lambda asked, known: sorted(asked.numbers) != sorted(known.numbers),
    "polarity": lambda asked, known: _negations(asked) != _negations(known),
    "opposites": _has_opposites,
    "what is asked": lambda asked, known: len({asked.asks, known.asks} - {""}) > 1,
    "roles": _swapped,
    "matter": _other_matter,
}
