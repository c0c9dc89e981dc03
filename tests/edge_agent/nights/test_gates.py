"""Which models may serve."""

from __future__ import annotations

from typing import TYPE_CHECKING

from edge_agent.nights.folder import NightRow
from edge_agent.nights.gates import Exam, Examined, closed, read_gates
from edge_agent.nights.settings import NightSettings

if TYPE_CHECKING:
    from collections.abc import Sequence

SETTINGS = NightSettings(base="base")
ROWS = [
    NightRow(entry=number, wordings=(f"Who made thing {number}?",), answer=f"maker {number}")
    for number in range(100)
]


def answered(right: int, said: str | None = None) -> Examined:
    """The first so many are answered right, the rest by ``said``, or each by something else."""
    answers: Sequence[str | None] = [
        row.answer if row.entry < right else (said or f"wrong {row.entry}") for row in ROWS
    ]
    return Examined(ROWS, answers)


def test_a_model_that_knows_what_is_new_and_what_was_known_may_serve() -> None:
    gates = read_gates(
        SETTINGS, "generate", Exam(answered(0), answered(98)), Exam(answered(90), answered(96))
    )

    assert closed(gates) == ""


def test_one_that_forgot_what_it_knew_may_not() -> None:
    gates = read_gates(
        SETTINGS, "generate", Exam(answered(0), answered(98)), Exam(answered(99), answered(11))
    )

    assert closed(gates) == "old knowledge 0.110, and 0.940 is the bound"


def test_one_that_knows_only_the_sentences_it_learned_may_not() -> None:
    gates = read_gates(
        SETTINGS, "generate", Exam(answered(0), answered(98)), Exam(answered(70), answered(98))
    )

    assert closed(gates) == "held-out wordings 0.700, and 0.800 is the bound"


def test_one_that_does_not_look_at_examples_any_more_may_not() -> None:
    before = Exam(answered(0), answered(98), answered(97))
    heeding, blind = (Exam(answered(90), answered(96), answered(right)) for right in (94, 93))

    assert closed(read_gates(SETTINGS, "generate", before, heeding)) == ""
    said = closed(read_gates(SETTINGS, "generate", before, blind))
    assert said == "examples 0.930, and 0.940 is the bound"


def test_one_that_says_the_same_everywhere_may_not() -> None:
    after = Exam(answered(85, said="maker 1"), answered(98))
    gates = read_gates(SETTINGS, "generate", Exam(answered(0), answered(98)), after)

    assert closed(gates).startswith("one answer everywhere 0.160")


def test_a_classifier_may_not_get_worse_on_what_is_new() -> None:
    before, worse, better = (Exam(answered(right), answered(98)) for right in (60, 59, 61))

    assert closed(read_gates(SETTINGS, "classify", before, better)) == ""
    assert "held-out wordings" in closed(read_gates(SETTINGS, "classify", before, worse))


def test_a_model_that_fails_at_a_probe_did_not_answer_it() -> None:
    assert Examined(ROWS[:2], [None, "maker 1"]).right == [False, True]


def test_nothing_known_is_nothing_lost() -> None:
    nothing = Examined([], [])
    gates = read_gates(
        SETTINGS, "generate", Exam(answered(0), nothing), Exam(answered(90), nothing)
    )

    assert closed(gates) == ""
