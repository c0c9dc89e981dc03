from __future__ import annotations

from edge_agent.memory.entries import Entry, State
from edge_agent.memory.eviction import to_evict, to_learn

NOW_S = 1_000_000.0


def entry(number: int, *, hot: float = 1.0, state: State = "stable", answer: str = "") -> Entry:
    return Entry(
        id=number,
        task="generate",
        wordings=[f"Question {number}?"],
        answer=answer or f"answer {number}",
        created_s=NOW_S,
        used_s=NOW_S,
        hot=hot,
        hot_s=NOW_S,
        state=state,
    )


def test_what_is_not_true_any_more_goes_first_and_then_what_is_worth_least() -> None:
    known = [entry(1, hot=5), entry(2, hot=1), entry(3, hot=9, state="expired"), entry(4, hot=3)]

    assert [each.id for each in to_evict(known, 2, NOW_S)] == [3, 2]
    assert to_evict(known, 4, NOW_S) == []


def test_what_was_put_aside_long_ago_goes_before_what_is_used() -> None:
    old = entry(1, hot=9, state="quarantined")
    old.used_s = NOW_S - 5 * 86_400

    assert [each.id for each in to_evict([old, entry(2)], 1, NOW_S)] == [1]


def test_the_hottest_confirmed_entries_are_learned() -> None:
    known = [entry(number, hot=number) for number in range(1, 11)]
    known[9].state = "quarantined"
    known[8].expires_s = NOW_S + 9
    known[7].nights = 3

    assert [each.id for each in to_learn(known, 3, NOW_S)] == [7, 6, 5]


def test_no_answer_is_a_larger_part_of_a_night_than_it_may_be() -> None:
    known = [entry(number, hot=50, answer="politician") for number in range(1, 40)]
    known += [entry(number, hot=2) for number in range(40, 80)]
    chosen = to_learn(known, 40, NOW_S)

    assert sum(each.answer == "politician" for each in chosen) == 2
    assert len(chosen) == 40
