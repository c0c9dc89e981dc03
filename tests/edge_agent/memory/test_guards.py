from __future__ import annotations

import csv
from pathlib import Path

import pytest

from edge_agent.memory.guards import difference, name_overlap, same_names
from edge_agent.memory.wording import read_question

with (Path(__file__).parent / "pairs.tsv").open(encoding="utf-8", newline="") as file:
    PAIRS = [tuple(row) for row in csv.reader(file, delimiter="\t")][1:]
DIFFERENT = [(known, asked) for kind, known, asked in PAIRS if kind != "same"]
PLAIN = [(known, asked) for kind, known, asked in PAIRS if kind == "plain opposite"]
SAME = [(known, asked) for kind, known, asked in PAIRS if kind == "same"]


def differ(known: str, asked: str) -> str:
    return difference(read_question(asked), read_question(known))


def test_of_two_hundred_near_duplicates_at_most_two_in_a_hundred_pass() -> None:
    passed = [pair for pair in DIFFERENT if not differ(*pair)]

    assert len(DIFFERENT) >= 200
    assert len(passed) <= 0.02 * len(DIFFERENT), passed


def test_plain_opposites_are_all_told_apart() -> None:
    assert len(PLAIN) == 8
    assert all(differ(*pair) for pair in PLAIN)


def test_most_rewordings_of_one_question_pass() -> None:
    refused = [pair for pair in SAME if differ(*pair)]

    assert len(refused) <= 0.15 * len(SAME), refused


@pytest.mark.parametrize(("known", "asked"), [*DIFFERENT[:20], *SAME])
def test_a_difference_is_one_in_both_directions(known: str, asked: str) -> None:
    assert bool(differ(known, asked)) == bool(differ(asked, known))


@pytest.mark.parametrize(
    ("known", "asked", "why"),
    [
        ("Who directed Alien?", "Who directed Aliens?", "names"),
        ("What is 2 plus 3?", "What is 2 plus 4?", "numbers"),
        ("Is the hatch open?", "Is the hatch not open?", "polarity"),
        ("Where does the trail begin?", "Where does the trail end?", "opposites"),
        ("Where was Ida Holm born?", "When was Ida Holm born?", "what is asked"),
        ("Did Ida pay Lars?", "Did Lars pay Ida?", "roles"),
        ("how do i clean suede", "how do i clean velvet", "matter"),
    ],
)
def test_the_guard_that_speaks_is_named(known: str, asked: str, why: str) -> None:
    assert differ(known, asked) == why


def test_two_letters_exchanged_in_a_name_are_a_slip_and_no_other_name() -> None:
    known = read_question("Where was Marta Lindqvist born?")

    assert same_names(read_question("Where was Marta Lidnqvist born?"), known)
    assert not same_names(read_question("Where was Maria Lindqvist born?"), known)


def test_a_question_without_capitals_has_the_names_that_stand_in_it() -> None:
    known = read_question("Where was Marta Lindqvist born?")

    assert name_overlap(read_question("where was marta lindqvist born"), known) == 1.0
    assert name_overlap(read_question("where was marta hedlund born"), known) == 0.5
