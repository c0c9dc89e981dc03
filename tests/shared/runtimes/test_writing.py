"""Where a text ends, and what is left of it."""

from __future__ import annotations

import math

import pytest

from shared.runtimes.writing import Writing
from shared.tasks.generate import Completion

END = 0
HALF = math.log(0.5)


def completed(writing: Writing) -> Completion:
    answer = writing.scored("mean", 10).answer
    assert isinstance(answer, Completion)
    return answer


def write(writing: Writing, *pieces: str) -> Completion:
    """Write these until it is finished, a token for each piece, the end for an empty one."""
    for number, piece in enumerate(pieces):
        assert writing.finish is None
        writing.add(ord(piece[0]) + number if piece else END, HALF, piece)
    return completed(writing)


def test_the_end_token_ends_a_text_counts_and_is_not_said() -> None:
    writing = Writing(new_tokens=9, ends=[END], tokens_in=4)
    assert write(writing, "so", " it", " is", "") == Completion("so it is", "stop", 4, 4)
    assert writing.scored("mean", 10).confidence == pytest.approx(0.5)


def test_a_text_ends_when_its_tokens_are_used_up() -> None:
    assert write(Writing(new_tokens=2, prompt_cut=True), "so", " it") == Completion(
        "so it", "length", 0, 2, prompt_cut=True
    )


@pytest.mark.parametrize(
    ("stop", "pieces", "text"),
    [
        (["\n"], ["one", " line\nand"], "one line"),
        (["end"], ["the e", "n", "d of it"], "the "),
        (["END", "it"], ["take it", " END"], "take "),
        (["ab", "b"], ["xab"], "x"),
        (["."], ["."], ""),
    ],
)
def test_a_stop_string_ends_a_text_wherever_tokens_part_it(
    stop: list[str], pieces: list[str], text: str
) -> None:
    writing = Writing(new_tokens=50, stop=stop)
    for number, piece in enumerate(pieces):
        if writing.finish is None:
            writing.add(number, HALF, piece)
    assert (completed(writing).text, writing.finish) == (text, "stop")


@pytest.mark.parametrize("period", [1, 5, 16])
def test_a_text_that_says_the_same_again_and_again_ends_with_one_of_it(period: int) -> None:
    writing = Writing(new_tokens=1_000)
    for number in range(10):
        writing.add(1_000 + number, HALF, f"{number}.")
    at = 0
    while writing.finish is None:
        writing.add(at % period, -0.01, chr(ord("a") + at % period))
        at += 1
    answer = completed(writing)
    assert (answer.finish, at <= 64 + 8 + 16) == ("repeats", True)
    assert answer.text.startswith("0.1.2.3.4.5.6.7.8.9.")
    assert len(answer.text) <= 20 + period + 8
    assert len(writing.log_probabilities) == answer.tokens_out


def test_a_long_list_is_no_repetition() -> None:
    writing = Writing(new_tokens=400)
    for number in range(400):
        writing.add(number % 17 if number % 34 else 99, HALF, "x")
    assert writing.finish == "length"


def test_a_text_that_is_broken_off_is_as_far_as_it_came() -> None:
    writing = Writing(new_tokens=9)
    assert completed(writing) == Completion("", "length", 0, 0)
    assert writing.scored("perplexity", 1).confidence == 0.0
