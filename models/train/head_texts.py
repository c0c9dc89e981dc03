"""Write the texts from which the heads of the demo's bundles learn.

``python -m models.train.head_texts --data DATA --out FILE`` writes one TSV file with the columns
``text`` and ``label``, the label empty where none is known: training rows of the five sets, reviews
of three stars and tweets, which no model was trained on, and sentences cut from training reviews.
No text that occurs in any dev or test file is among them, and 600 rows of each set but IMDB are
left aside, to choose on.
"""

from __future__ import annotations

import argparse
import random
from pathlib import Path
from typing import TYPE_CHECKING, Final

from models.train.data import (
    read_held_out,
    read_train,
    sentences,
    text_key,
)
from shared.errors import DataError
from shared.text_files import read_lines

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from typing import NoReturn

    from models.train.data import TrainingRow

SEED: Final = 59154
_SETS: Final = ("sst2", "rotten_tomatoes", "imdb", "amazon_multidomain", "yelp_polarity")
_OTHERS: Final = ("emotion", "yelp_stars", "amazon_stars", "amazon_polarity")
_ROWS: Final = 5_000
_ASIDE: Final = 600
_ASIDE_FROM: Final = 800
_NEUTRAL: Final = 1_000
_TWEETS: Final = 3_000
_CUT: Final = {
    "imdb": (5_000, 5_000),
    "amazon_multidomain": (600, 2_000),
    "yelp_polarity": (600, 2_000),
}
"""From which row on reviews are cut into sentences, and how many of these are taken."""
_REVIEWS: Final = 6_000
_WORDS: Final = (4, 40)


def head_texts(root: Path, seed: int = SEED) -> list[tuple[str, str]]:
    """Return texts with their labels, "" where there is none, in an order of the seed."""
    draw = random.Random(seed)  # noqa: S311 - an order, not a secret
    chosen = _Chosen(_held_out(root))
    train = {name: read_train(root, name, chosen.held_out) for name in _SETS}
    for rows in train.values():
        draw.shuffle(rows)
    for name, rows in train.items():
        if name != "imdb":
            chosen.leave_aside(rows[:_ASIDE_FROM], _ASIDE)
    for rows in train.values():
        chosen.take(((row.text, str(row.label)) for row in rows), _ROWS)
    stars = _read(root / "yelp_stars" / "train.tsv.gz")
    chosen.take(((text, "") for text, label in stars if label == "3"), _NEUTRAL)
    tweets = [text for text, _ in _read(root / "emotion" / "train.tsv.gz")]
    draw.shuffle(tweets)
    chosen.take(((text, "") for text in tweets), _TWEETS)
    for name, (first, count) in _CUT.items():
        cut = [s for row in train[name][first:][:_REVIEWS] for s in sentences(row.text, *_WORDS)]
        draw.shuffle(cut)
        chosen.take(((text, "") for text in cut), count)
    draw.shuffle(chosen.texts)
    return chosen.texts


class _Chosen:
    """Different texts, none of them held out."""

    def __init__(self, held_out: frozenset[str]) -> None:
        self.held_out = held_out
        self.texts: list[tuple[str, str]] = []
        self._seen = set(held_out)

    def leave_aside(self, rows: Iterable[TrainingRow], count: int) -> None:
        """Keep the first different ones of these rows from being taken."""
        for _ in self._fresh(((row.text, "") for row in rows), count):
            pass

    def take(self, rows: Iterable[tuple[str, str]], count: int) -> None:
        """Take the first different ones, ``count`` at most."""
        self.texts += self._fresh(rows, count)

    def _fresh(self, rows: Iterable[tuple[str, str]], count: int) -> Iterator[tuple[str, str]]:
        for text, label in rows:
            if not count:
                return
            if (key := text_key(text)) not in self._seen:
                self._seen.add(key)
                count -= 1
                yield text, label


def _held_out(root: Path) -> frozenset[str]:
    """Return the keys of all dev and test texts, of these sets and of those close to them."""
    places = [path for name in _OTHERS for path in sorted((root / name).glob("*.tsv.gz"))]
    others = [text for path in places if "train" not in path.name for text, _ in _read(path)]
    return read_held_out(root) | {text_key(text) for text in others}


def _read(path: Path) -> list[tuple[str, str]]:
    """Return texts and labels of a TSV file, whose last column is the label."""

    def fault(number: int, reason: str) -> NoReturn:
        raise DataError(f"{path}: row {number} {reason}")

    rows = (line.text.rpartition("\t") for line in read_lines(path, fault) if line.number > 1)
    return [(text, label) for text, _, label in rows]


def main() -> None:
    """Write the file."""
    parser = argparse.ArgumentParser(prog="python -m models.train.head_texts")
    parser.add_argument("--data", type=Path, required=True, help="folder of the public sets")
    parser.add_argument("--out", type=Path, required=True, help="TSV file to write")
    given = parser.parse_args()
    rows = head_texts(given.data)
    given.out.parent.mkdir(parents=True, exist_ok=True)
    lines = ("\t".join(row) for row in [("text", "label"), *rows])
    given.out.write_text("\n".join(lines) + "\n", encoding="utf-8")
    print(f"{len(rows):,} texts: {given.out}")


if __name__ == "__main__":
    main()
