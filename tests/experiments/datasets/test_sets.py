from __future__ import annotations

import pytest

from experiments.datasets.sets import LabelledSet, Part, concatenate, draw_rows, order_rows
from shared.errors import DataError

NAMES = ("negative", "positive")


def a_set(
    labels: tuple[int, ...], name: str = "a", label_names: tuple[str, ...] = NAMES
) -> LabelledSet:
    texts = tuple(f"{name} {row}" for row in range(len(labels)))
    return LabelledSet(name, texts, labels, label_names, (Part(name, len(labels)),))


def test_the_given_order_is_the_files() -> None:
    assert order_rows(a_set((1, 0, 1)), "given") == [0, 1, 2]


def test_a_shuffle_keeps_every_row_and_is_repeated_by_its_seed() -> None:
    data = a_set((0, 1) * 50)

    rows = order_rows(data, "shuffled", seed=3)

    assert sorted(rows) == list(range(100))
    assert rows == order_rows(data, "shuffled", seed=3)
    assert rows != order_rows(data, "shuffled", seed=4)
    assert rows != list(range(100))


def test_sorting_by_label_keeps_the_order_within_a_label() -> None:
    assert order_rows(a_set((1, 0, 1, 0)), "by_label") == [1, 3, 0, 2]


def test_taken_rows_keep_text_and_label_together() -> None:
    taken = a_set((1, 0, 1)).take([2, 1])

    assert taken.texts == ("a 2", "a 1")
    assert taken.labels == (1, 0)
    assert taken.parts == (Part("a", 2),)


def test_a_draw_is_ascending_without_repeats_and_seeded() -> None:
    rows = draw_rows(1000, 100, seed=1)

    assert rows == sorted(set(rows))
    assert len(rows) == 100
    assert rows == draw_rows(1000, 100, seed=1) != draw_rows(1000, 100, seed=2)


def test_joined_sets_follow_one_another_and_remember_their_parts() -> None:
    joined = concatenate([a_set((0, 1), "films"), a_set((1,), "meals")])

    assert joined.name == "films+meals"
    assert joined.texts == ("films 0", "films 1", "meals 0")
    assert joined.labels == (0, 1, 1)
    assert joined.parts == (Part("films", 2), Part("meals", 1))


def test_sets_with_other_labels_are_not_joined() -> None:
    with pytest.raises(DataError, match="tweets has the labels joy, anger, but films has"):
        concatenate([a_set((0,), "films"), a_set((0,), "tweets", ("joy", "anger"))])


def test_nothing_cannot_be_joined() -> None:
    with pytest.raises(DataError, match="no set"):
        concatenate([])
