"""Write the texts from which the heads of the demo's bundles learn.

``python -m models.train.head_texts --data DATA --out FOLDER`` writes ``texts.tsv``, which student
and teacher are asked: training reviews, sentences cut from such, and reviews of three stars and
tweets, which no model was trained on; and ``labelled.tsv``, the training rows of all five sets with
their labels, for the expert. Sentences of SST-2 and Rotten Tomatoes are only there: the models
learned them by heart, and agree on them as on no others. No text that occurs in any dev or test
file is among them, and 600 rows of each set but IMDB are left aside, to choose on.
"""

from __future__ import annotations

import argparse
import random
from pathlib import Path
from typing import TYPE_CHECKING, Final, NamedTuple

from models.train.data import (
    REVIEW_SETS,
    SENTENCE_SETS,
    read_held_out,
    read_train,
    sentences,
    text_key,
)
from shared.errors import DataError
from shared.text_files import read_lines

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable
    from typing import NoReturn

    from models.train.data import TrainingRow

SEED: Final = 59154
_OTHERS: Final = ("emotion", "yelp_stars", "amazon_stars", "amazon_polarity")
_ROWS: Final = 1_500
_ASIDE: Final = 600
_ASIDE_FROM: Final = 800
_NEUTRAL: Final = 500
_TWEETS: Final = 1_500
_CUT: Final = {
    "imdb": (5_000, 3_000),
    "amazon_multidomain": (600, 1_500),
    "yelp_polarity": (600, 1_500),
}
"""From which row on reviews are cut into sentences, and how many of these are taken."""
_REVIEWS: Final = 6_000
_WORDS: Final = (4, 40)


class HeadCorpus(NamedTuple):
    """Texts to ask, in an order of the seed, and labelled rows."""

    texts: list[str]
    labelled: list[TrainingRow]


def head_texts(root: Path, seed: int = SEED, *, without: Collection[str] = ()) -> HeadCorpus:
    """Return what the heads learn from, less all that comes from the sets in ``without``.

    Raises ``DataError`` naming the file that is bad.
    """
    draw = random.Random(seed)  # noqa: S311 - an order, not a secret
    held_out = _held_out(root)
    train = {name: read_train(root, name, held_out) for name in (*SENTENCE_SETS, *REVIEW_SETS)}
    for rows in train.values():
        draw.shuffle(rows)
    chosen = _Chosen(held_out)
    for name, rows in train.items():
        if name != "imdb":
            chosen.take(name, (row.text for row in rows[:_ASIDE_FROM]), _ASIDE)
    aside = {text_key(text) for text in chosen.texts}
    labelled = [
        row
        for name, rows in train.items()
        if name not in without
        for row in rows
        if text_key(row.text) not in aside
    ]
    chosen.texts.clear()
    for name in SENTENCE_SETS:
        chosen.pass_over(row.text for row in train[name])
    for name in REVIEW_SETS:
        chosen.take(name, (row.text for row in train[name]), _ROWS)
    stars = _read(root / "yelp_stars" / "train.tsv.gz")
    chosen.take("yelp_polarity", (text for text, label in stars if label == "3"), _NEUTRAL)
    tweets = [text for text, _ in _read(root / "emotion" / "train.tsv.gz")]
    draw.shuffle(tweets)
    chosen.take("emotion", tweets, _TWEETS)
    for name, (first, count) in _CUT.items():
        cut = [s for row in train[name][first:][:_REVIEWS] for s in sentences(row.text, *_WORDS)]
        draw.shuffle(cut)
        chosen.take(name, cut, count)
    texts = [text for text, name in chosen.texts.items() if name not in without]
    draw.shuffle(texts)
    return HeadCorpus(texts, labelled)


class _Chosen:
    """Different texts with the set that each comes from, none of them held out."""

    def __init__(self, held_out: frozenset[str]) -> None:
        self.texts: dict[str, str] = {}
        self._seen = set(held_out)

    def pass_over(self, texts: Iterable[str]) -> None:
        """Keep these texts from being taken."""
        self._seen |= {text_key(text) for text in texts}

    def take(self, name: str, texts: Iterable[str], count: int) -> None:
        """Take the first different ones of a set, ``count`` at most."""
        for text in texts:
            if not count:
                return
            if (key := text_key(text)) not in self._seen:
                self._seen.add(key)
                self.texts[text] = name
                count -= 1


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
    """Write the files."""
    parser = argparse.ArgumentParser(prog="python -m models.train.head_texts")
    parser.add_argument("--data", type=Path, required=True, help="folder of the public sets")
    parser.add_argument("--out", type=Path, required=True, help="folder to write into")
    given = parser.parse_args()
    texts, labelled = head_texts(given.data)
    given.out.mkdir(parents=True, exist_ok=True)
    _write(given.out / "texts.tsv", ["text", *texts])
    rows = (f"{row.text}\t{row.label}" for row in labelled)
    _write(given.out / "labelled.tsv", ["text\tlabel", *rows])
    print(f"{given.out}: {len(texts):,} texts to ask, {len(labelled):,} labelled rows")


def _write(path: Path, lines: Iterable[str]) -> None:
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
