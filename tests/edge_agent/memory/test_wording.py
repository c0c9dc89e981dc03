from __future__ import annotations

import pytest

from edge_agent.memory.wording import normalise, read_question, stem


@pytest.mark.parametrize(
    ("text", "names"),
    [
        ("Who was the director of The Quiet Harbour?", (("the", "quiet", "harbour"),)),
        ("Who is Ivan Petrov's mother?", (("ivan", "petrov"),)),
        ("Map the id to the name", ()),
        ("In what country is Ridgeford?", (("ridgeford",),)),
        ("who is it", ()),
        ("WHO IS IT IN THE HALL", ()),
        ("Did Ida pay Lars?", (("ida",), ("lars",))),
        ("Who owns the Bank of Leeds, Lars?", (("bank", "of", "leeds"), ("lars",))),
    ],
)
def test_names_are_the_capitalised_words_that_do_not_only_begin(
    text: str, names: tuple[tuple[str, ...], ...]
) -> None:
    assert read_question(text).names == names


def test_case_spaces_and_the_end_do_not_count() -> None:
    assert normalise("  What’s   UP? ") == normalise("what's up")


@pytest.mark.parametrize(
    ("text", "numbers"),
    [
        ("What is 1,200 plus two?", ("1200", "2")),
        ("the third act", ("3rd",)),
        ("no numbers", ()),
    ],
)
def test_numbers_are_read_as_digits_and_as_words(text: str, numbers: tuple[str, ...]) -> None:
    assert read_question(text).numbers == numbers


@pytest.mark.parametrize(
    ("text", "asks"),
    [
        ("In what city was she born?", "where"),
        ("Where was she born?", "where"),
        ("What year was that?", "when"),
        ("How many are there?", "count"),
        ("What is rust?", ""),
    ],
)
def test_what_is_asked_for_is_read_from_the_words(text: str, asks: str) -> None:
    assert read_question(text).asks == asks


def test_a_masked_question_shows_each_name_once() -> None:
    assert read_question("Who is Ivan Petrov's mother?").masked == "who is [X] mother"


@pytest.mark.parametrize(
    ("one", "other"), [("pumps", "pump"), ("closed", "close"), ("cities", "city")]
)
def test_forms_of_a_word_have_one_stem(one: str, other: str) -> None:
    assert stem(one) == stem(other)
