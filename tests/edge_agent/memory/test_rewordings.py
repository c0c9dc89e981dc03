"""Which questions count as one in other words, and what nobody knows yet."""

from __future__ import annotations

import pytest

from edge_agent.memory.rewordings import KNOWN, UNPROVED, Rewordings
from edge_agent.memory.wording import Question, read_question

BORN = "Where was {} born?"
BIRTHPLACE = "What is the birthplace of {}?"
CITY = "In what city was {} born?"
FATHER = "Who is the father of {}?"


def asked(form: str, name: str = "Ada Holm") -> Question:
    return read_question(form.format(name))


def known(*pairs: tuple[str, str], same: bool = True) -> Rewordings:
    made = Rewordings()
    for one, other in pairs:
        made.note(asked(one), asked(other), same=same)
    return made


def test_what_two_questions_are_to_a_third_they_are_to_each_other() -> None:
    made = known((BORN, BIRTHPLACE), (CITY, BIRTHPLACE))

    assert made.share(asked(BORN, "Emil Berg"), asked(CITY, "Emil Berg")) >= KNOWN
    assert made.share(asked(BORN), asked(FATHER)) == UNPROVED


def test_what_is_refuted_for_one_is_refuted_through_it() -> None:
    made = known((BORN, BIRTHPLACE))
    for _ in range(3):
        made.note(asked(BIRTHPLACE), asked(FATHER), same=False)

    assert made.share(asked(BORN), asked(FATHER)) < UNPROVED
    assert not made.same_kind(asked(BORN).masked, asked(FATHER).masked)


def test_the_forms_of_a_question_are_those_known_to_ask_the_same() -> None:
    made = known((BORN, BIRTHPLACE), (CITY, BIRTHPLACE))
    made.note(asked(BORN), asked(FATHER), same=False)

    assert set(made.forms_of(asked(BORN).masked)) == {
        asked(each).masked for each in (BORN, BIRTHPLACE, CITY)
    }
    assert made.forms_of("never heard of [X]") == ["never heard of [X]"]


@pytest.mark.parametrize("form", ["Is {} safe to drink?", "Which rivers lie before {}?"])
def test_opposites_ask_for_another_thing_whatever_was_counted(form: str) -> None:
    other = form.replace("safe", "unsafe").replace("before", "after")
    made = known(*[(form, other)] * 9)

    assert not made.same_kind(asked(form).masked, asked(other).masked)


def test_what_was_counted_is_kept_once_a_pair() -> None:
    made, again = known((BORN, BIRTHPLACE), (BIRTHPLACE, BORN), (CITY, BORN)), Rewordings()
    again.take(made.rows())

    assert len(made.rows()) == 2
    assert sorted(again.rows()) == sorted(made.rows())
    assert again.share(asked(CITY), asked(BIRTHPLACE)) == made.share(asked(CITY), asked(BIRTHPLACE))
