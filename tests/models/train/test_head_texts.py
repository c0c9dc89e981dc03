from __future__ import annotations

import gzip
from typing import TYPE_CHECKING

import pytest

from models.train.head_texts import head_texts

if TYPE_CHECKING:
    from pathlib import Path

SETS = ("sst2", "rotten_tomatoes", "imdb", "amazon_multidomain", "yelp_polarity")


def write(path: Path, rows: list[tuple[str, object]]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with gzip.open(path, "wt", encoding="utf-8") as file:
        file.write("text\tlabel\n" + "".join(f"{text}\t{label}\n" for text, label in rows))


@pytest.fixture
def data(tmp_path: Path) -> Path:
    for name in SETS:
        rows = [(f"{name} row {n} was kind. It rained all night {n}.", n % 2) for n in range(700)]
        write(tmp_path / name / "train.tsv.gz", [*rows, ("Held out, word for word!", 1)])
        write(tmp_path / name / "test.tsv.gz", [("held out word for word", 1)])
    write(tmp_path / "yelp_stars" / "train.tsv.gz", [("so so", 3), ("splendid", 5)])
    write(tmp_path / "emotion" / "train.tsv.gz", [("i feel fine", "joy"), ("a tweet twice", "joy")])
    write(tmp_path / "emotion" / "test.tsv.gz", [("a tweet, twice", "joy")])
    return tmp_path


def test_heads_learn_from_texts_of_no_test_set_and_not_from_what_models_know_by_heart(
    data: Path,
) -> None:
    texts, labelled = head_texts(data)

    assert {"so so", "i feel fine"} <= set(texts)
    assert not {"splendid", "a tweet twice", "Held out, word for word!"} & set(texts)
    assert not [text for text in texts if text.startswith(("sst2", "rotten_tomatoes"))]
    assert sum(text.startswith("imdb") and "rained" in text for text in texts) == 700
    assert sum(text.startswith("yelp_polarity") and "rained" in text for text in texts) == 100
    assert sum(row.text.startswith("imdb") for row in labelled) == 700
    assert sum(row.text.startswith("sst2") for row in labelled) == 100
    assert all("Held out" not in row.text for row in labelled)
    assert len(set(texts)) == len(texts)


def test_the_same_seed_gives_the_same_texts(data: Path) -> None:
    assert head_texts(data) == head_texts(data)
    assert head_texts(data) != head_texts(data, seed=1)


def test_a_set_that_is_left_out_gives_neither_texts_nor_labels(data: Path) -> None:
    texts, labelled = head_texts(data, without=("imdb", "yelp_polarity"))

    assert not [text for text in texts if text.startswith(("imdb", "yelp", "so so"))]
    assert not [row for row in labelled if row.text.startswith(("imdb", "yelp"))]
    assert {text for text in texts if text.startswith("amazon")} == {
        text for text in head_texts(data).texts if text.startswith("amazon")
    }
