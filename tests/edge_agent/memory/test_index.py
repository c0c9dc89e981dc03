from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

import numpy as np
import pytest

from edge_agent.memory.index import WHOLE, ClusterIndex, build, fill

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from edge_agent.memory.index import Vector


def unit(rows: NDArray[np.floating]) -> Vector:
    return np.asarray(rows / np.linalg.norm(rows, axis=1, keepdims=True), np.float32)


def topics(count: int, seed: int, dimensions: int = 32) -> Vector:
    """Vectors about 60 topics, as questions are."""
    generator = np.random.default_rng(seed)
    centres = generator.standard_normal((60, dimensions))
    rows = centres[generator.integers(60, size=count)]
    return unit(rows + 0.6 * generator.standard_normal((count, dimensions)))


def best(index: ClusterIndex, vector: Vector) -> int:
    return index.search(vector, 1)[0][0]


@pytest.mark.parametrize("count", [4_000, 14_000])
def test_the_nearest_is_found_by_looking_at_a_few_lists(count: int) -> None:
    rows = topics(count, 1)
    index = build(np.arange(count), rows)
    asked = unit(rows[:300] + 0.05 * topics(300, 2))
    scanned, right = 0, 0
    for vector in asked:
        right += best(index, vector) == int((rows @ vector).argmax())
        scanned += index.scanned

    assert right / len(asked) >= 0.98
    assert scanned / len(asked) <= 0.15 * count


def test_a_few_vectors_are_searched_whole() -> None:
    rows = topics(WHOLE, 3)
    index = build(np.arange(WHOLE), rows)

    assert index.clusters == 1
    assert [best(index, row) for row in rows] == list(range(WHOLE))


def test_what_is_added_is_found_and_what_is_removed_is_not() -> None:
    rows, more = topics(2_000, 4), topics(1_000, 5)
    index = build(np.arange(2_000), rows)
    for key, row in enumerate(more, 2_000):
        index.add(key, row)
    found = sum(best(index, row) == key for key, row in enumerate(more, 2_000))
    for key in range(2_000, 3_000):
        index.remove(key)

    assert found >= 990
    assert index.wants_rebuild
    assert len(index) == 2_000
    assert all(best(index, row) < 2_000 for row in more[:50])


def test_a_key_that_is_added_again_is_replaced() -> None:
    index = ClusterIndex(2)
    index.add(7, np.array([1, 0], np.float32))
    index.add(7, np.array([0, 1], np.float32))

    assert index.search(np.array([0, 1], np.float32)) == [(7, 1.0)]


def test_a_rebuild_is_made_aside_and_finds_the_same() -> None:
    rows = topics(1_500, 6)
    index = ClusterIndex(32)
    for key, row in enumerate(rows):
        index.add(key, row)
    before = index.clusters
    other = index.rebuilt()

    assert (index.clusters, len(index)) == (before, 1_500)
    assert other.clusters > before
    assert not other.wants_rebuild
    assert sum(best(other, row) == key for key, row in enumerate(rows)) >= 1_485


def test_no_question_fails_while_an_index_is_rebuilt() -> None:
    rows = topics(3_000, 10)
    index = build(np.arange(2_000), rows[:2_000])
    for key, row in enumerate(rows[2_000:], 2_000):
        index.add(key, row)
    with ThreadPoolExecutor(1) as aside:
        rebuilt = aside.submit(index.rebuilt)
        asked = [best(index, rows[place % 3_000]) for place in range(1_500)]
        while not rebuilt.done():
            asked.append(best(index, rows[len(asked) % 3_000]))
    after = [best(rebuilt.result(), row) for row in rows[:1_500]]

    for found in (asked, after):
        right = sum(key == place % 3_000 for place, key in enumerate(found))
        assert right >= 0.98 * len(found)


def test_an_index_filled_by_its_centres_answers_as_before() -> None:
    rows = topics(1_200, 7)
    index = build(np.arange(1_200), rows)
    again = fill(ClusterIndex(32, index.centres.copy()), np.arange(1_200), rows)

    assert [again.search(row, 5) for row in rows[:40]] == [
        index.search(row, 5) for row in rows[:40]
    ]


def test_an_empty_index_finds_nothing() -> None:
    assert ClusterIndex(3).search(np.array([1, 0, 0], np.float32)) == []


def test_a_list_that_grows_beyond_the_others_is_split() -> None:
    index = build(np.arange(600), topics(600, 8))
    before = index.clusters
    generator = np.random.default_rng(9)
    crowd = unit(np.ones((400, 32)) + 0.4 * generator.standard_normal((400, 32)))
    for key, row in enumerate(crowd, 600):
        index.add(key, row)

    assert index.clusters > before
    assert all(best(index, row) == key for key, row in enumerate(crowd[:20], 600))
