"""A question as it is compared: its words, the names and numbers in it, and what it asks for.

No model is needed and none is loaded. A name is a run of capitalised words that does not only begin
the sentence; who writes everything in lower case has no names, and ``guards`` knows that.
"""

from __future__ import annotations

import re
import unicodedata
from functools import lru_cache
from typing import Final

import msgspec


def word_set(text: str) -> frozenset[str]:
    """Return the words of a text that is written to be read here."""
    return frozenset(text.split())


_WORD: Final = re.compile(r"[^\W\d_]+(?:['’][^\W\d_]+)*|\d+(?:[.,:/]\d+)*", re.UNICODE)
_SPACE: Final = re.compile(r"\s+")
_UP_TO_TWENTY: Final = (
    "zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen "
    "fifteen sixteen seventeen eighteen nineteen twenty"
)
_NUMBER_WORDS: Final = {
    word: str(number) for number, word in enumerate(re.split(" ", _UP_TO_TWENTY))
} | {"thirty": "30", "forty": "40", "fifty": "50", "sixty": "60", "seventy": "70"} | {
    "eighty": "80", "ninety": "90", "hundred": "100", "thousand": "1000", "million": "1000000",
    "dozen": "12", "first": "1st", "second": "2nd", "third": "3rd", "fourth": "4th",
    "fifth": "5th", "sixth": "6th", "seventh": "7th", "eighth": "8th", "ninth": "9th",
    "tenth": "10th", "twice": "2x", "once": "1x",
}  # fmt: skip
FUNCTION_WORDS: Final = word_set(
    "a an the of in on at to for from by with as is are was were be been being do does did done "
    "has have had having will would can could shall should may might must and or that this these "
    "those it its he him his she her they them their we us our you your i me my there here then "
    "than so such which who whom whose what when where why how s please tell say give know "
    "kindly us about into out over own hey hi hello thanks just exactly "
    "actually if"
)
"""Words that carry no matter by themselves; where they stand still tells roles apart."""
_ASKS: Final = {
    "who": "who", "whom": "who", "whose": "who", "where": "where", "when": "when", "why": "why",
}  # fmt: skip
_MANY: Final = frozenset({"many", "much"})
_DEGREES: Final = word_set("far long old tall big deep high often soon fast")
_PLACES: Final = word_set("country city town place location nation state village")
_TIMES: Final = word_set("year date day month century decade time")
MASK: Final = "[X]"


class Question(msgspec.Struct, frozen=True):
    """One question, taken apart.

    ``words`` are all words, lower case and in order; ``stems`` those that carry matter, by their
    stems; ``names`` the words of each name, in order; ``numbers`` in order; ``masked`` the question
    with every name replaced; ``asks`` is who, where, when, why, count, degree, or empty.
    """

    text: str
    normal: str
    words: tuple[str, ...]
    stems: tuple[str, ...]
    names: tuple[tuple[str, ...], ...]
    numbers: tuple[str, ...]
    masked: str
    asks: str

    @property
    def name_words(self) -> frozenset[str]:
        """Every word of every name; of one made of function words alone, those."""
        return frozenset(
            word
            for name in self.names
            for word in name
            if word not in FUNCTION_WORDS or FUNCTION_WORDS.issuperset(name)
        )


def normalise(text: str) -> str:
    """Return what the same question has in common: case, spaces and its end do not count."""
    plain = unicodedata.normalize("NFKC", text).replace("’", "'").casefold()
    return _SPACE.sub(" ", plain).strip(" \t?!.¿¡\"'")


@lru_cache(maxsize=65_536)
def read_question(text: str) -> Question:
    """Take a question apart."""
    plain = unicodedata.normalize("NFKC", text).replace("’", "'")
    found = list(_WORD.finditer(plain))
    raw = [match.group() for match in found]
    words = tuple(_bare(word) for word in raw)
    names, inside = _names(raw, words, plain, [match.span() for match in found])
    numbers = tuple(
        number
        for place, word in enumerate(words)
        if place not in inside
        for number in _number(word)
    ) + tuple(word for place, word in enumerate(words) if place in inside and word[0].isdigit())
    stems = tuple(
        stem(word)
        for place, word in enumerate(words)
        if place not in inside and word not in FUNCTION_WORDS and not _number(word)
    )
    return Question(
        text, normalise(text), words, stems, names, numbers, _masked(words, inside), _asks(words)
    )


@lru_cache(maxsize=65_536)
def stem(word: str) -> str:
    """Return what is left of a word without its commonest English endings."""
    for ending, instead in (
        ("ies", "y"), ("sses", "ss"), ("ness", ""), ("ingly", ""), ("edly", ""), ("ing", ""),
        ("ed", ""), ("ers", "er"), ("ors", "or"), ("es", "e"), ("s", ""), ("ly", ""),
    ):  # fmt: skip
        rest = word.removesuffix(ending)
        if rest != word and len(rest) >= 3 and not (ending == "s" and rest[-1] in "su"):  # noqa: PLR2004
            word = rest + instead
            break
    if len(word) > 3 and word[-1] == word[-2] and word[-1] not in "lsz":  # noqa: PLR2004
        word = word[:-1]
    return word.removesuffix("e") if len(word) > 3 else word  # noqa: PLR2004


def _bare(word: str) -> str:
    return word.casefold().removesuffix("'s").removesuffix("'")


def _number(word: str) -> tuple[str, ...]:
    if word[0].isdigit():
        return (word.replace(",", ""),)
    return (_NUMBER_WORDS[word],) if word in _NUMBER_WORDS else ()


def _names(
    raw: list[str], words: tuple[str, ...], text: str, spans: list[tuple[int, int]]
) -> tuple[tuple[tuple[str, ...], ...], frozenset[int]]:
    """Return the names, and the places of their words."""
    names: list[tuple[str, ...]] = []
    inside: set[int] = set()
    current: list[int] = []

    def close() -> None:
        while current and words[current[-1]] in FUNCTION_WORDS:
            current.pop()
        if current:
            names.append(tuple(words[place] for place in current))
            inside.update(current)
            current.clear()

    shouting = sum(word.isupper() and len(word) > 1 for word in raw) > len(raw) / 2
    for place, word in enumerate(raw):
        capital = word[0].isupper() and not shouting
        begins = (
            place == 0
            or "." in text[spans[place - 1][1] : spans[place][0]]
            or (":" in text[spans[place - 1][1] : spans[place][0]])
        )
        joins = (
            current
            and (word[0].isdigit() or words[place] in _JOINING)
            and place + 1 < len(raw)
            and (raw[place + 1][0].isupper() or raw[place + 1][0].isdigit())
        )
        broken = current and any(
            mark in text[spans[place - 1][1] : spans[place][0]] for mark in ",;?"
        )
        if broken:
            close()
        alone = place + 1 == len(raw) or not raw[place + 1][0].isupper()
        named = capital and not (begins and (alone or words[place] in _BEGINNINGS))
        if named or (joins and not broken):
            current.append(place)
        else:
            close()
            continue
        if word.endswith(("'s", "'S")):
            close()
    close()
    return tuple(names), frozenset(inside)


_JOINING: Final = word_set("of the de la von van der du del di da le el al")
_BEGINNINGS: Final = FUNCTION_WORDS | word_set(
    "which list describe explain find show define convert translate compute calculate solve "
    "compare write count turn switch set open close start stop play call send is are was i'd "
    "i'm what's who's where's when's how's let can't don't doesn't didn't isn't aren't wasn't "
    "won't shouldn't couldn't sum add remove buy sell book cancel increase decrease enable "
    "disable allow forbid never always not no yes every each any some all most many how"
)


def _masked(words: tuple[str, ...], inside: frozenset[int]) -> str:
    """Return the words with each run of name words as one mask."""
    kept: list[str] = []
    for place, word in enumerate(words):
        if place not in inside:
            kept.append(word)
        elif not kept or place - 1 not in inside:
            kept.append(MASK)
    return " ".join(kept)


def _asks(words: tuple[str, ...]) -> str:
    for place, word in enumerate(words):
        after = words[place + 1] if place + 1 < len(words) else ""
        if word == "how":
            return "count" if after in _MANY else "degree" if after in _DEGREES else ""
        if word in {"what", "which"}:
            near = words[place + 1 : place + 3]
            if _PLACES & set(near):
                return "where"
            return "when" if _TIMES & set(near) else ""
        if word in _ASKS:
            return _ASKS[word]
    return ""
