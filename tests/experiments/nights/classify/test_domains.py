from __future__ import annotations

import gzip
from typing import TYPE_CHECKING

from experiments.nights.classify.domains import Amounts, read_domains

if TYPE_CHECKING:
    from pathlib import Path

FEW = Amounts(film=3, reviews=4, aside=2, tests=2)


def write(path: Path, texts: list[str]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    rows = [f"{text} {number}\t{number % 2}" for number, text in enumerate(texts)]
    with gzip.open(path, "wt", encoding="utf-8") as file:
        file.write("\n".join(["text\tlabel", *rows]) + "\n")


def write_sets(root: Path) -> None:
    write(root / "sst2" / "train.tsv.gz", ["a film"] * 5_410)
    write(root / "rotten_tomatoes" / "test.tsv.gz", ["another film"] * 5)
    for part in ("train", "test"):
        amazon = [f"the kettle of {part} boils", f"I read this book of {part}"] * 8
        yelp = [f"the sushi of {part} was cold", f"the dentist of {part} was late"] * 8
        write(root / "amazon_multidomain" / f"{part}.tsv.gz", amazon)
        write(root / "yelp_polarity" / f"{part}.tsv.gz", yelp)


def test_each_kind_has_its_own_texts_and_none_has_another_s(tmp_path: Path) -> None:
    write_sets(tmp_path)
    domains = read_domains(tmp_path, FEW)
    films, products, restaurants = domains.all

    assert len(domains.known) == 5_400
    assert [len(each) for each in (films.day, films.aside, films.test)] == [3, 2, 2]
    assert [len(each) for each in (products.day, products.aside, products.test)] == [4, 2, 2]
    assert all("kettle of train" in text for text in products.day.texts + products.aside.texts)
    assert all("kettle of test" in text for text in products.test.texts)
    assert all("sushi of train" in text for text in restaurants.day.texts)
    days = [set(each.day.texts) for each in domains.all]
    asides = [set(each.aside.texts) for each in domains.all]
    assert not any(day & aside for day, aside in zip(days, asides, strict=True))
    assert not days[0] & {row.text for row in domains.known}
