from __future__ import annotations

import numpy as np
import pytest

from edge_agent.memory.verifier import SHIPPED, PairLabel, QuestionVerifier, fit, logit, offset_of
from edge_agent.memory.wording import read_question


def test_a_guard_leaves_no_chance_however_alike_two_questions_are() -> None:
    verifier = QuestionVerifier()
    likeness = verifier.compare(
        read_question("Is it unsafe to run the pump?"),
        read_question("Is it safe to run the pump?"),
        0.99,
        0.1,
    )

    assert likeness.guard == "opposites"
    assert verifier.probability(likeness, offset=20.0) == 0.0


def test_a_rewording_that_proved_itself_makes_the_same_likeness_count_for_more() -> None:
    verifier = QuestionVerifier()
    known = read_question("Who was the director of Glass River?")
    asked = read_question("Who made Glass River?")
    before = verifier.probability(verifier.compare(asked, known, 0.85, 0.5))
    other = [f"{word} Road" for word in ("Silver", "Salt", "Green", "Long", "Last")]
    for name in other:
        verifier.rewordings.note(
            read_question(f"Who made {name}?"),
            read_question(f"Who was the director of {name}?"),
            same=True,
        )
    after = verifier.probability(verifier.compare(asked, known, 0.85, 0.5))
    for name in other * 4:
        verifier.rewordings.note(
            read_question(f"Who made {name}?"),
            read_question(f"Who was the director of {name}?"),
            same=False,
        )
    refuted = verifier.probability(verifier.compare(asked, known, 0.85, 0.5))

    assert refuted <= before < after


def test_what_was_counted_of_rewordings_outlives_the_process() -> None:
    verifier, other = QuestionVerifier(), QuestionVerifier()
    pair = read_question("who made Glass River"), read_question("who shot Glass River")
    verifier.rewordings.note(*pair, same=True)
    other.rewordings.take(verifier.rewordings.rows())

    assert other.rewordings.share(*pair) == verifier.rewordings.share(*pair) > 0.5


def test_a_fit_finds_what_tells_pairs_apart() -> None:
    generator = np.random.default_rng(3)
    labels = [
        PairLabel((1.0, float(cosine), 1.0, 0.5, 1.0, 0.5), bool(cosine > 0.9))
        for cosine in generator.uniform(0.7, 1.0, 2_000)
    ]
    verifier = QuestionVerifier(fit(labels, np.array(SHIPPED)).tolist())
    likeness = verifier.compare(read_question("red door"), read_question("the red door"), 0.9, 0.9)

    for cosine, surely in ((0.97, True), (0.8, False)):
        chance = verifier.probability(likeness._replace(cosine=cosine, lead=0.5, rewording=0.5))
        assert (chance > 0.5) == surely


def test_more_likeness_never_counts_against_a_pair() -> None:
    labels = [PairLabel((1.0, 0.9, 1.0, 0.5, 1.0, 0.5), same=False)] * 50
    labels += [PairLabel((1.0, 0.7, 1.0, 0.5, 1.0, 0.5), same=True)] * 50

    assert (fit(labels, np.array(SHIPPED))[1:] >= 0).all()


def test_an_entry_that_was_wrong_needs_more_and_one_that_was_right_less() -> None:
    doubtful = logit(0.9)

    assert offset_of([(doubtful, False)] * 3) < -1
    assert offset_of([(doubtful, True)] * 3) > 0
    assert offset_of([]) == pytest.approx(0.0)
