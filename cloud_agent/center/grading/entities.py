"""NER: the entities of a sentence, answered as a JSON list of ``{"text": …, "type": …}``."""

from __future__ import annotations

import re
from collections import Counter
from typing import Annotated, Final, NamedTuple

import msgspec

from cloud_agent.center.grading.words import f1
from shared.errors import DataError

_LIST: Final = re.compile(r"\[.*\]", re.DOTALL)
TYPES: Final = ("PER", "LOC", "ORG", "MISC")


class Entity(msgspec.Struct, frozen=True):
    """One entity: the words as they stand in the sentence, and what they name."""

    text: Annotated[str, msgspec.Meta(min_length=1)]
    type: str


class EntityCount(NamedTuple):
    """How many entities were given, wanted, and both; those of several sentences add up."""

    shared: int
    given: int
    wanted: int

    def plus(self, other: EntityCount) -> EntityCount:
        """Return the sum of two."""
        return EntityCount(*(one + two for one, two in zip(self, other, strict=True)))

    @property
    def f1(self) -> float:
        """Micro-F1 over what was counted; 1.0 where nothing was wanted and nothing given."""
        if not self.given and not self.wanted:
            return 1.0
        return f1(self.shared, self.given, self.wanted)


def read(text: str) -> list[Entity] | None:
    """Return the entities of the first list in an answer, or None where there is no such list."""
    found = _LIST.search(text)
    try:
        return msgspec.json.decode(found.group(), type=list[Entity]) if found else None
    except msgspec.DecodeError:
        return None


def compare(answer: str, reference: str) -> EntityCount:
    """Count the entities that are exactly right: the same words and the same type.

    An answer that is no list names nothing and so misses all; where nothing is wanted it is still
    wrong, as one entity too many.
    """
    wanted = read(reference)
    if wanted is None:
        raise DataError(
            f'the reference {reference[:80]!r} is no list of {{"text": …, "type": …}}; '
            "write one, empty where the sentence has no entity"
        )
    given = read(answer)
    if given is None:
        return EntityCount(0, int(not wanted), len(wanted))
    shared = Counter(map(_key, given)) & Counter(map(_key, wanted))
    return EntityCount(sum(shared.values()), len(given), len(wanted))


def grade(answer: str, references: tuple[str, ...]) -> float:
    """Return the F1 score of the entities of one sentence, against the kindest reference."""
    return max(compare(answer, reference).f1 for reference in references)


def _key(entity: Entity) -> tuple[str, str]:
    return " ".join(entity.text.split()), entity.type.upper()
