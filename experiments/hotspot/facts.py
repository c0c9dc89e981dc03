"""Facts that are asked for: generated like PopQA's, or read from its rows.

PopQA (Mallen et al., 2212.10511) asks for 16 relations of entities. Here each relation has its
published wording first and more of our own; generated entities are made of lists of names, so that
many share words, as real ones do.
"""

from __future__ import annotations

import gzip
import json
import random
import re
from typing import TYPE_CHECKING, Final, NamedTuple

from shared.errors import DataError

if TYPE_CHECKING:
    from pathlib import Path

TEMPLATES: Final[dict[str, tuple[str, ...]]] = {
    "occupation": (
        "What is {}'s occupation?", "What does {} do for a living?",
        "What is the occupation of {}?", "Which profession does {} have?",
    ),
    "place of birth": (
        "In what city was {} born?", "Where was {} born?", "What is the birthplace of {}?",
        "In which city did {} come into the world?",
    ),
    "genre": (
        "What genre is {}?", "What is the genre of {}?", "Which genre does {} belong to?",
        "To what genre would you count {}?",
    ),
    "father": (
        "Who is the father of {}?", "Who is {}'s father?", "What is the name of {}'s father?",
        "Who was the father of {}?",
    ),
    "country": (
        "In what country is {}?", "Which country is {} in?", "In which country does {} lie?",
        "What country is {} located in?",
    ),
    "producer": (
        "Who was the producer of {}?", "Who produced {}?", "What is the name of {}'s producer?",
        "By whom was {} produced?",
    ),
    "director": (
        "Who was the director of {}?", "Who directed {}?", "What is the name of {}'s director?",
        "By whom was {} directed?",
    ),
    "capital of": (
        "What is {} the capital of?", "Of which country is {} the capital?",
        "{} is the capital of what?", "Which country has {} as its capital?",
    ),
    "screenwriter": (
        "Who was the screenwriter for {}?", "Who wrote the screenplay of {}?",
        "What is the name of {}'s screenwriter?", "Who is the screenwriter of {}?",
    ),
    "composer": (
        "Who was the composer of {}?", "Who composed {}?", "What is the name of {}'s composer?",
        "Who wrote the music for {}?",
    ),
    "color": (
        "What color is {}?", "Which color does {} have?", "What is the color of {}?",
        "In what color does {} appear?",
    ),
    "religion": (
        "What is the religion of {}?", "Which religion does {} follow?",
        "What is {}'s religion?", "To which religion does {} belong?",
    ),
    "sport": (
        "What sport does {} play?", "Which sport is played by {}?", "What is {}'s sport?",
        "In which sport does {} compete?",
    ),
    "author": (
        "Who is the author of {}?", "Who wrote {}?", "What is the name of {}'s author?",
        "By whom was {} written?",
    ),
    "mother": (
        "Who is the mother of {}?", "Who is {}'s mother?", "What is the name of {}'s mother?",
        "Who was the mother of {}?",
    ),
    "capital": (
        "What is the capital of {}?", "Which city is the capital of {}?",
        "What is {}'s capital?", "What is the capital city of {}?",
    ),
}  # fmt: skip
_KINDS: Final = {
    "person": ("occupation", "place of birth", "father", "mother", "religion", "sport"),
    "work": ("genre", "producer", "director", "screenwriter", "composer", "author"),
    "place": ("country", "capital of", "capital", "color"),
}
_FIRST: Final = (
    "Ada Anton Bela Clara Dario Elif Emil Fatima Georg Hana Igor Ines Jakob Jana Karim Lena Luca "
    "Marta Milan Nadia Nils Olga Omar Paula Pavel Rosa Samir Selma Tariq Vera Viktor Yusuf"
)
_LAST: Final = (
    "Abreu Almeida Anders Aziz Bauer Berg Brandt Castro Demir Dvorak Eriksen Farkas Ferrari "
    "Fischer Garcia Haddad Hansen Holm Ivanov Jansen Kaya Keller Kovacs Kruger Larsen Lindqvist "
    "Lopez Moreau Nagy Novak Okafor Olsen Petrov Popescu Rahman Rossi Sato Schmidt Silva Soto "
    "Varga Weber"
)
_ADJECTIVES: Final = (
    "Amber Ancient Blue Broken Burning Crimson Distant Empty Fading Final Forgotten Frozen Glass "
    "Golden Hidden Hollow Iron Last Lonely Long Lost Midnight Northern Pale Quiet Red Salt Secret "
    "Silent Silver Summer Velvet Wild Winter"
)
_NOUNS: Final = (
    "Bridge Coast Crown Desert Dream Empire Ferry Fire Forest Garden Harbour Hour House Island "
    "Journey Kingdom Lake Letter Meridian Mirror Mountain Night Ocean Orchard Road River Shadow "
    "Song Station Storm Street Tower Valley Wind Window Winter"
)
_PREFIXES: Final = (
    "Alder Ash Bran Cald Dun East Fair Glen Hart Inver Kings Lang Mar Nor Oak Port Raven Sand Stan "
    "Thorn Vel West Wind Wyn"
)
_SUFFIXES: Final = (
    "borough bridge burg by dale field ford ham haven land mere mont mouth port stead ton ville "
    "wick"
)
_ANSWERS: Final = {
    "occupation": "politician actor painter engineer doctor lawyer writer teacher singer chemist",
    "genre": "drama comedy thriller western documentary fantasy romance horror satire musical",
    "religion": "Islam Christianity Judaism Buddhism Hinduism Sikhism Taoism",
    "sport": "football tennis handball hockey cricket rowing cycling fencing golf basketball",
    "color": "red green blue yellow white black orange purple brown grey",
}
_TWO_NAMES: Final = 0.2
_PLACES: Final = frozenset({"place of birth", "country", "capital of", "capital"})


class HotFact(NamedTuple):
    """One thing that can be asked for, with the answers that are right and how known it is."""

    number: int
    relation: str
    subject: str
    answers: tuple[str, ...]
    popularity: float

    def wordings(self) -> tuple[str, ...]:
        """Return the ways of asking for it."""
        return tuple(form.format(self.subject) for form in TEMPLATES[self.relation])


def generate(count: int, seed: int) -> list[HotFact]:
    """Return facts of made-up entities, each entity with about three."""
    draw = random.Random(f"facts {seed}")  # noqa: S311 - guards nothing
    facts: list[HotFact] = []
    seen: set[str] = set()
    while len(facts) < count:
        kind = draw.choice(list(_KINDS))
        subject = _entity(kind, draw)
        bare = subject.removeprefix("The ")  # nobody tells The Red Ocean from Red Ocean
        if bare in seen:
            continue
        seen.add(bare)
        popularity = draw.paretovariate(1.0)
        for relation in draw.sample(_KINDS[kind], 3):
            answer = _answer(relation, draw)
            facts.append(HotFact(len(facts), relation, subject, (answer,), popularity))
    return facts[:count]


def read_popqa(path: Path) -> list[HotFact]:
    """Read rows of PopQA: JSON lines with ``question``, ``answers`` and ``s_pop``.

    Raises ``DataError`` that names the row.
    """
    facts: list[HotFact] = []
    opener = gzip.open if path.suffix == ".gz" else open
    row = {}
    try:
        with opener(path, "rt", encoding="utf-8") as lines:
            for line in lines:
                row = json.loads(line)
                found = _relation_of(row["question"])
                if found is not None:
                    answers = tuple(row["answers"])
                    facts.append(HotFact(len(facts), *found, answers, float(row["s_pop"])))
    except OSError as error:
        raise DataError(f"{path}: cannot be read ({error.strerror})") from error
    except (KeyError, TypeError, ValueError) as error:
        raise DataError(f"{path}: {row!s:.60}: is no row of PopQA ({error!r})") from error
    if not facts:
        raise DataError(f"{path}: no row asks for one of the 16 relations of PopQA")
    return facts


def is_right(answer: str, fact: HotFact) -> bool:
    """Return whether an accepted answer stands in what was said."""
    said = answer.casefold()
    return any(accepted.casefold() in said for accepted in fact.answers)


def _relation_of(question: str) -> tuple[str, str] | None:
    for relation, forms in TEMPLATES.items():
        before, after = forms[0].split("{}")
        found = re.fullmatch(f"{re.escape(before)}(.+){re.escape(after)}", question)
        if found:
            return relation, found.group(1)
    return None


def _entity(kind: str, draw: random.Random) -> str:
    if kind == "person":
        born = f" {draw.choice(_LAST.split())}" if draw.random() < _TWO_NAMES else ""
        return f"{draw.choice(_FIRST.split())} {draw.choice(_LAST.split())}{born}"
    if kind == "place":
        return f"{draw.choice(_PREFIXES.split())}{draw.choice(_SUFFIXES.split())}"
    name = f"{draw.choice(_ADJECTIVES.split())} {draw.choice(_NOUNS.split())}"
    return f"The {name}" if draw.random() < 0.3 else name  # noqa: PLR2004


def _answer(relation: str, draw: random.Random) -> str:
    if relation in _ANSWERS:
        return draw.choice(_ANSWERS[relation].split())
    return _entity("place" if relation in _PLACES else "person", draw)
