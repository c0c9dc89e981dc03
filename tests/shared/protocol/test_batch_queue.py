"""The queue before a model: what it hands out, whom it turns away, and how long it says it is."""

from __future__ import annotations

import pytest

from shared.errors import Busy, Stopping
from shared.protocol.batch_queue import BatchQueue, Queue


class Letter:
    """Waits until it is told something."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.told = False

    def done(self) -> bool:
        return self.told


def filled(names: str, *, places: int = 100, batch_prompts: int = 2) -> BatchQueue[Letter]:
    """Make a queue with one letter of each name."""
    queue: BatchQueue[Letter] = BatchQueue(places, batch_prompts=batch_prompts)
    for name in names:
        queue.put(Letter(name))
    return queue


def names(letters: list[Letter]) -> str:
    return "".join(letter.name for letter in letters)


def test_a_batch_is_whatever_waits_up_to_the_limit() -> None:
    queue = filled("abc", batch_prompts=2)
    assert [names(queue.take()) for _ in range(3)] == ["ab", "c", ""]


def test_who_waits_no_more_is_in_no_batch_and_makes_none_empty() -> None:
    queue = filled("", batch_prompts=2)
    letters = [Letter(name) for name in "abcd"]
    for letter in letters:
        queue.put(letter)
        letter.told = letter.name in "abc"

    assert names(queue.take()) == "d", "a and b would have been the first batch"
    assert queue.running == 1


def test_the_wait_is_all_that_is_here_times_what_one_takes() -> None:
    queue = filled("abcde", batch_prompts=2)
    queue.take()
    queue.measure(2.0)

    assert (queue.running, len(queue), queue.service_s) == (2, 3, 1.0)
    assert queue.wait_s == 5.0
    queue.end()
    assert queue.wait_s == 3.0


def test_an_origin_waits_for_its_own_and_for_one_of_each_other_in_a_round() -> None:
    queue = filled("", batch_prompts=1)
    for name in "abcde":
        queue.put(Letter(name), "many")
    queue.take()
    queue.measure(0.5)

    assert queue.queue_for("many") == Queue(0.5 * 5, full=False)
    assert queue.queue_for("one") == Queue(0.5 * 2, full=False), "what runs, and one of the other"


def test_what_one_prompt_takes_is_smoothed_but_for_the_first_batch_of_a_model() -> None:
    queue = filled("abc", batch_prompts=1)
    queue.take()
    queue.measure(1.0)
    queue.take()
    queue.measure(2.0)
    assert queue.service_s == pytest.approx(1.1)

    queue.measure_anew()
    queue.take()
    queue.measure(5.0)
    assert queue.service_s == pytest.approx(5.0)


def test_in_a_full_queue_nobody_is_displaced_for_one_who_has_as_much() -> None:
    queue = filled("ab", places=2)

    assert queue.queue_for("").full
    with pytest.raises(Busy, match="2 prompts are waiting already"):
        queue.put(Letter("c"))
    assert len(queue) == 2


def test_in_a_full_queue_the_newest_of_whoever_has_most_is_told_that_it_is_busy() -> None:
    queue = filled("", places=3)
    for name in "abc":
        queue.put(Letter(name), "many")

    ((displaced, busy),) = queue.put(Letter("d"), "one")

    assert displaced.name == "c"
    assert str(busy) == "3 prompts are waiting already"
    assert len(queue) == 3


def test_a_closed_queue_lets_go_of_everything_and_takes_in_nothing() -> None:
    queue = filled("abc")

    assert [(item.name, type(why)) for item, why in queue.close()] == [
        (name, Stopping) for name in "abc"
    ]
    with pytest.raises(Stopping):
        queue.put(Letter("d"))
    assert queue.take() == []


def test_who_joins_runs_until_it_leaves_and_the_wait_is_by_weight() -> None:
    queue = filled("")
    letters = [Letter(name) for name in "abcd"]
    for letter, weight in zip(letters, (10.0, 20.0, 30.0, 1.0), strict=True):
        queue.put(letter, weight=weight)
    queue.measure_unit(0.5)
    assert queue.wait_s == pytest.approx(61 * 0.5)

    letters[1].told = True
    assert names(queue.join(2)) == "ac"
    queue.leave(0, 40.0)
    assert (queue.running, len(queue)) == (2, 1)
    assert queue.wait_s == pytest.approx(41 * 0.5)
    assert queue.queue_for("").wait_s == pytest.approx(41 * 0.5)

    queue.leave(1, 5.0)
    assert (queue.running, names(queue.join(5)), queue.running) == (1, "d", 2)
    queue.leave(2, 0.0)
    assert (queue.running, queue.wait_s) == (0, 0.0)


def test_who_makes_room_takes_its_weight_along() -> None:
    queue: BatchQueue[Letter] = BatchQueue(2, batch_prompts=2)
    queue.measure_unit(1.0)
    queue.put(Letter("a"), "greedy", weight=50.0)
    queue.put(Letter("b"), "greedy", weight=50.0)
    displaced = queue.put(Letter("c"), "modest", weight=5.0)
    assert names([letter for letter, _ in displaced]) == "b"
    assert queue.wait_s == pytest.approx(55.0)
