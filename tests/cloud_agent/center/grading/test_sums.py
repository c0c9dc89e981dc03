"""Which number an answer comes to, however it is written."""

from __future__ import annotations

import gzip
import json
import os
from fractions import Fraction
from pathlib import Path

import pytest

from cloud_agent.center.grading.sums import grade, number_of


@pytest.mark.parametrize(
    ("text", "number"),
    [
        ("3", 3),
        ("It takes 2 + 1 = 3 bolts.", 3),
        ("He made a profit of $70,000.", 70_000),
        ("#### -5\nThat was 2 less than 9.", -5),
        ("9 in all\n#### 1,234", 1_234),
        ("so 12.50 each", Fraction(25, 2)),
        ("that is .5", Fraction(1, 2)),
        ("3/4 of it", Fraction(3, 4)),
        ("minus: \u22127", -7),
        ("a drop of 20%", 20),
        ("1,2 and 3", 3),
        ("room 4b is no number", None),
        ("none", None),
        ("1/0", 0),
    ],
)
def test_a_text_comes_to_its_last_number_or_the_one_that_is_marked(
    text: str, number: int | Fraction | None
) -> None:
    assert number_of(text) == number


def test_the_same_number_is_right_in_any_writing_and_another_is_not() -> None:
    assert grade("That makes $1,500.00.", ("1500",)) == 1.0
    assert grade("That makes 1500.", ("1501", "1,500")) == 1.0
    assert grade("That makes 150.", ("1500",)) == 0.0
    assert grade("I do not know.", ("1500",)) == 0.0
    assert grade("I do not know.", ("nothing",)) == 0.0


def test_every_solution_of_gsm8k_comes_to_its_answer() -> None:
    folder = os.environ.get("RECSERVE_DATA")
    if not folder:
        pytest.skip("RECSERVE_DATA names no folder of public sets")
    with gzip.open(Path(folder) / "gsm8k" / "train.jsonl.gz", "rt", encoding="utf-8") as lines:
        rows = [json.loads(line) for line in lines]

    assert len(rows) > 100
    for row in rows:
        written = f"{row['solution']}\n#### {row['answers'][0]}"
        assert grade(written, tuple(row["answers"])) == 1.0
        assert grade(f"{written}1", tuple(row["answers"])) == 0.0
