"""Forecasts follow the texts that are served, and stay where the words tell nothing."""

from __future__ import annotations

import math
import random
from itertools import pairwise
from zlib import crc32

import pytest

from shared.cascade.adaptation import MOST_LABELS, SLOTS, Adaptation
from shared.ngrams import slots_of


def stream(seed: int, rows: int, *, telling: bool) -> list[tuple[str, str, float, str]]:
    """Return texts with a label, what a head foretells of it, and the final label.

    The head always says 0.7, and three labels in ten are wrong. Where words tell, pumps are bad and
    all else is good.
    """
    draw = random.Random(seed)
    drawn = []
    for _ in range(rows):
        final = draw.choice(["good", "bad"])
        noun = draw.choice(["lamp", "door", "pump"])
        if telling:
            noun = "pump" if final == "bad" else draw.choice(["lamp", "door"])
        text = f"{draw.choice(['the', 'a', 'my'])} {noun} {draw.choice(['is', 'was'])} fine"
        other = "bad" if final == "good" else "good"
        drawn.append((text, other if draw.random() < 0.3 else final, 0.7, final))
    return drawn


def losses(rows: list[tuple[str, str, float, str]]) -> tuple[list[float], list[float], Adaptation]:
    """Return the logarithmic losses of the head and of the adapted forecasts, in order."""
    adaptation, static, adapted = Adaptation(), [], []
    for text, label, given, final in rows:
        forecast = adaptation.foretell(text, label, given)
        agreed = label == final
        static.append(-math.log(given if agreed else 1 - given))
        adapted.append(-math.log(forecast.chance if agreed else 1 - forecast.chance))
        adaptation.learn(forecast, label, final)
    return static, adapted, adaptation


@pytest.mark.parametrize("seed", range(3))
def test_words_that_tell_where_the_head_errs_are_learned(seed: int) -> None:
    static, adapted, adaptation = losses(stream(seed, 800, telling=True))

    assert sum(adapted[400:]) < 0.5 * sum(static[400:])
    assert adaptation.trust > 0.9


@pytest.mark.parametrize("seed", range(3))
def test_words_that_tell_nothing_cost_next_to_nothing(seed: int) -> None:
    static, adapted, _ = losses(stream(seed, 1_500, telling=False))

    assert sum(adapted) < sum(static) * 1.02


def test_a_label_is_moved_against_its_rival() -> None:
    adaptation = Adaptation()
    for _ in range(50):
        adaptation.learn(adaptation.foretell("the pump is loud", "good", 0.6), "good", "bad")

    for_the_one = adaptation.foretell("the pump is loud", "good", 0.6)
    for_the_other = adaptation.foretell("the pump is loud", "bad", 0.6)

    assert for_the_one.chance < 0.6 < for_the_other.chance
    assert for_the_one.backing == pytest.approx(-for_the_other.backing)


def test_nothing_learned_leaves_the_forecast_to_the_last_bit() -> None:
    assert Adaptation().foretell("the pump is loud", "good", 0.123456789).chance == 0.123456789


@pytest.mark.parametrize("given", [0.0, 1.0])
def test_a_forecast_at_either_end_is_a_number(given: float) -> None:
    adaptation = Adaptation()
    for final in ("bad", "good") * 20:
        adaptation.learn(adaptation.foretell("so so", "good", given), "good", final)

    assert 0.0 < adaptation.foretell("so so", "good", given).chance < 1.0


def test_a_text_without_words_is_neither_adapted_nor_learned_from() -> None:
    adaptation = Adaptation()
    adaptation.learn(adaptation.foretell("...", "good", 0.5), "good", "bad")

    assert adaptation.remember() == Adaptation().remember()
    assert adaptation.foretell("", "good", 0.25).chance == 0.25


def test_more_labels_than_there_are_tables_for_change_nothing() -> None:
    adaptation = Adaptation()
    for one, other in pairwise(f"label {n}" for n in range(MOST_LABELS + 5)):
        adaptation.learn(adaptation.foretell("a text", one, 0.5), one, other)

    assert len(adaptation.remember().labels) == MOST_LABELS


def test_what_was_learned_is_taken_up() -> None:
    _, _, learned = losses(stream(1, 300, telling=True))
    later = Adaptation()
    later.recall(learned.remember())

    before = learned.foretell("the pump was fine", "good", 0.7)
    assert later.foretell("the pump was fine", "good", 0.7) == before


@pytest.mark.parametrize("table", [b"", b"\0" * (4 * SLOTS - 1), b"\xff" * (4 * SLOTS)])
def test_a_table_of_another_size_or_of_no_numbers_is_refused(table: bytes) -> None:
    memory = Adaptation().remember()

    with pytest.raises(ValueError, match="a table"):
        Adaptation().recall(type(memory)({"good": table}, memory.precision, 0.1, memory.scale))


def test_slots_are_those_of_words_and_pairs() -> None:
    words, slots = slots_of("Fine, FINE pump!", 0xFFFF)

    singles = [crc32(word) for word in (b"fine", b"pump", b"!")]
    pairs = [
        crc32(second, crc32(first) ^ 0xFFFF_FFFF)
        for first, second in ((b"fine", b"fine"), (b"fine", b"pump"), (b"pump", b"!"))
    ]
    assert words == 4
    assert slots == {number & 0xFFFF for number in (*singles, *pairs)}
