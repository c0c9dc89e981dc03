from __future__ import annotations

import pytest

from edge_agent.memory.entries import DAY_S, WORDINGS, Entry


def entry() -> Entry:
    return Entry(
        id=1, task="generate", wordings=["Who?"], answer="Ida", created_s=0, used_s=0, hot_s=0
    )


def test_two_answers_that_agree_make_an_entry_stable() -> None:
    made = entry()
    states = [made.state]
    made.vote("ida")

    assert [*states, made.state] == ["fresh", "stable"]


def test_two_that_disagree_put_it_aside_until_one_leads() -> None:
    made = entry()
    made.vote("Lars")
    aside = made.state
    made.vote("Lars")

    assert aside == "quarantined"
    assert (made.state, made.answer) == ("stable", "Lars")


def test_an_answer_said_again_to_the_same_words_is_no_second_voice_for_it() -> None:
    made = entry()
    for _ in range(5):
        made.vote("Ida")
    made.vote("Lars", "Who was it?")
    aside = made.state
    made.vote("Lars", "Who did it?")

    assert aside == "quarantined"
    assert (made.state, made.answer) == ("stable", "Lars")
    assert made.said == {"ida": ["who"], "lars": ["who was it", "who did it"]}


def test_what_two_entries_know_of_one_question_counts_together() -> None:
    made, other = entry(), entry()
    other.wordings, other.answer = ["Whom?"], "Lars"
    other.hit(DAY_S)
    made.join(other)
    aside = made.state
    made.vote("Lars", "Who is it?")

    assert aside == "quarantined"
    assert (made.state, made.answer) == ("stable", "Lars")
    assert made.heat(DAY_S) == 2.0


def test_heat_halves_every_day() -> None:
    made = entry()
    made.hit(0.0)

    assert made.heat(0.0) == 2.0
    assert made.heat(DAY_S) == 1.0
    assert made.heat(-DAY_S) == 2.0


def test_an_entry_keeps_a_few_wordings_and_none_twice() -> None:
    made = entry()
    places = [
        made.add_wording(text) for text in ["who", "Who is it?", "Who was it?", "Tell me who"]
    ]
    more = [made.add_wording(f"Who {number}?") for number in range(5)]

    assert places == [None, 1, 2, 3]
    assert more == [4, None, None, None, None]
    assert len(made.wordings) == WORDINGS


def test_uses_that_were_right_make_a_fresh_entry_stable() -> None:
    made = entry()
    for _ in range(2):
        made.judge(3.0, 1.0, right=True)

    assert made.state == "stable"
    assert made.chance_ok == pytest.approx(21 / 22)
