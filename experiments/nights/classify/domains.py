"""The texts: film sentences, reviews of what stands in kitchens and on desks, restaurant reviews.

The public sets do not say which of their reviews are of what, so their words do: a product's
review names no book and no film, a restaurant's names what is eaten.
"""

from __future__ import annotations

import random
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, NamedTuple

from experiments.datasets.sets import LabelledSet, Part
from models.train.data import read_held_out, read_rows, read_train

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from models.train.data import TrainingRow

LABELS: Final = ("negative", "positive")
_READ_OR_SEEN: Final = re.compile(
    r"\b(?:books?|novels?|authors?|reads?|reading|readers?|story|stories|films?|movies?|dvds?|"
    r"watch(?:ed|ing)?|plots?|characters?|episodes?|seasons?|scenes?|actors?|acting|chapters?|"
    r"written|writers?|writing|pages?|cast|director|viewers?|videos?|vhs|fiction|memoir|"
    r"biography)\b",
    re.IGNORECASE,
)
_EATEN: Final = re.compile(
    r"\b(?:food|restaurants?|menus?|waiter|waitress|dish(?:es)?|meals?|eat|ate|eating|lunch|"
    r"dinner|breakfast|brunch|chef|pizza|sushi|burgers?|tacos?)\b",
    re.IGNORECASE,
)
_KNOWN: Final = 5_400
_DRAW: Final = 59154


class Amounts(NamedTuple):
    """How many texts come on each day, are left aside to choose on, and test at the end."""

    film: int = 1_500
    reviews: int = 1_800
    aside: int = 300
    tests: int = 710


@dataclass(frozen=True)
class Domain:
    """A kind of texts: those of a day, and those that test what became of it."""

    name: str
    day: LabelledSet
    aside: LabelledSet
    test: LabelledSet


@dataclass(frozen=True)
class Domains:
    """The three in the order in which they come, and the sentences that the edge began with."""

    known: list[TrainingRow]
    all: tuple[Domain, ...]


def read_domains(root: Path, amounts: Amounts) -> Domains:
    """Read the public sets: days are train rows, tests are test rows. Raises ``DataError``."""
    held_out = read_held_out(root)
    films = _drawn(read_train(root, "sst2", held_out))
    products = [
        row
        for row in _drawn(read_train(root, "amazon_multidomain", held_out))
        if not _READ_OR_SEEN.search(row.text)
    ]
    meals = [
        row
        for row in _drawn(read_train(root, "yelp_polarity", held_out))
        if _EATEN.search(row.text)
    ]
    film_tests = read_rows(root / "rotten_tomatoes" / "test.tsv.gz")
    product_tests = [
        row
        for row in read_rows(root / "amazon_multidomain" / "test.tsv.gz")
        if not _READ_OR_SEEN.search(row.text)
    ]
    meal_tests = [
        row for row in read_rows(root / "yelp_polarity" / "test.tsv.gz") if _EATEN.search(row.text)
    ]
    days = (
        ("films", films[_KNOWN:], film_tests, amounts.film),
        ("products", products, product_tests, amounts.reviews),
        ("restaurants", meals, meal_tests, amounts.reviews),
    )
    return Domains(
        films[:_KNOWN],
        tuple(
            Domain(
                name,
                _set(name, rows[amounts.aside : amounts.aside + count]),
                _set(f"{name}, aside", rows[: amounts.aside]),
                _set(f"{name}, test", _drawn(tests)[: amounts.tests]),
            )
            for name, rows, tests, count in days
        ),
    )


def _drawn(rows: list[TrainingRow]) -> list[TrainingRow]:
    """Return the rows in an order that is the same each time."""
    order = list(rows)
    random.Random(_DRAW).shuffle(order)  # noqa: S311 - an order, no secret
    return order


def _set(name: str, rows: Sequence[TrainingRow]) -> LabelledSet:
    texts, labels = tuple(row.text for row in rows), tuple(row.label for row in rows)
    return LabelledSet(name, texts, labels, LABELS, (Part(name, len(rows)),))
