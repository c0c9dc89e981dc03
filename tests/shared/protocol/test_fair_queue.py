"""A queue that is taken from in turns, held against a slow and obvious one."""

from __future__ import annotations

from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.protocol.fair_queue import PLACE_BYTES, FairQueue, Full

ORIGINS = st.sampled_from(["a", "b", "c"])


def filled(*names: str, places: int = 100) -> FairQueue[str]:
    """A queue in which each name is an origin and its number: ``a1``."""
    queue: FairQueue[str] = FairQueue(places)
    for name in names:
        assert queue.put(name, name[0]) == []
    return queue


def test_one_origin_has_its_prompts_in_the_order_they_came() -> None:
    assert filled("a1", "a2", "a3").take(9) == ["a1", "a2", "a3"]


def test_origins_have_their_turns() -> None:
    queue = filled("a1", "a2", "a3", "a4", "b1", "b2", "c1")
    assert queue.take(9) == ["a1", "b1", "c1", "a2", "b2", "a3", "a4"]


def test_one_who_comes_later_has_the_next_turn_and_none_that_it_missed() -> None:
    queue = filled("a1", "a2", "a3", "a4", "a5")
    assert queue.take(2) == ["a1", "a2"]
    for name in ("b1", "b2", "b3"):
        queue.put(name, "b")
    assert queue.take(9) == ["a3", "b1", "a4", "b2", "a5", "b3"]


def test_the_higher_priority_goes_first_whoever_it_is_of() -> None:
    queue = filled("a1", "b1")
    queue.put("a9", "a", priority=5)
    assert queue.take(9) == ["a9", "a1", "b1"]


def test_a_full_queue_makes_room_for_who_has_less_by_the_newest_of_who_has_most() -> None:
    queue = filled("a1", "a2", "a3", "b1", places=4)
    assert queue.full_for("a")
    assert not queue.full_for("c")
    assert queue.put("c1", "c") == ["a3"]
    with pytest.raises(Full):
        queue.put("c2", "c")
    assert queue.take(9) == ["a1", "b1", "c1", "a2"]


def test_a_long_prompt_takes_several_places_and_never_more_than_there_are() -> None:
    queue = filled("a1", "a2", places=5)
    queue.put("b1", "b", size=2 * PLACE_BYTES)
    assert queue.taken == 5
    with pytest.raises(Full):
        queue.put("c1", "c", size=90 * PLACE_BYTES)
    assert queue.take(9) == ["a1", "b1", "a2"], "nobody had to go for one who has most"


def test_displaced_prompts_leave_nothing_behind() -> None:
    queue: FairQueue[str] = FairQueue(8)
    displaced = 0
    for number in range(3_000):
        for origin in ("a", "a", "a", str(number)):
            if not queue.full_for(origin):
                displaced += len(queue.put(origin, origin))
        queue.take(number % 2)
    assert displaced > 100
    assert len(queue._heap) < 100
    assert len(queue._items) == len(queue._entries) == len(queue)


@given(st.lists(st.tuples(ORIGINS, st.integers(0, 2)), max_size=60), st.integers(1, 7))
def test_whatever_comes_is_taken_once_and_nobody_waits_for_more_than_one_of_each_other(
    came: list[tuple[str, int]], batch: int
) -> None:
    queue: FairQueue[tuple[int, str]] = FairQueue(1_000)
    for number, (origin, _) in enumerate(came):
        queue.put((number, origin), origin)
    taken: list[tuple[int, str]] = []
    while len(queue):
        taken += queue.take(batch)

    assert sorted(taken) == [(number, origin) for number, (origin, _) in enumerate(came)]
    for origin in "abc":
        own = [number for number, of in taken if of == origin]
        assert own == sorted(own)
    left = Counter(origin for origin, _ in came)
    while taken:
        turn, taken = taken[: len(+left)], taken[len(+left) :]
        assert len({origin for _, origin in turn}) == len(turn), "one of each in a round"
        left -= Counter(origin for _, origin in turn)


@given(st.lists(st.tuples(ORIGINS, st.integers(0, 3 * PLACE_BYTES)), max_size=80))
def test_the_queue_never_holds_more_than_its_places(came: list[tuple[str, int]]) -> None:
    queue: FairQueue[int] = FairQueue(8)
    held: set[int] = set()
    for number, (origin, size) in enumerate(came):
        try:
            held -= set(queue.put(number, origin, size=size))
        except Full:
            continue
        held.add(number)
        assert queue.taken <= 8
    assert set(queue.take(99)) <= held
