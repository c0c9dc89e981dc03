"""What is learned, what tests it, and what is repeated."""

from __future__ import annotations

from typing import Any

import pytest

from edge_agent.memory.entries import Entry
from edge_agent.nights.folder import NightRow
from edge_agent.nights.plan import choose, may_be_learned
from edge_agent.nights.settings import NightSettings

SETTINGS = NightSettings(base="base", entries=10)


def entry(number: int = 1, **changes: Any) -> Entry:
    fields: dict[str, Any] = {
        "id": number,
        "task": "generate",
        "wordings": [f"Who made thing {number}?", f"By whom was thing {number} made?"],
        "answer": f"maker {number}",
        "created_s": 0.0,
        "used_s": 0.0,
        "state": "stable",
    }
    return Entry(**fields | changes)


@pytest.mark.parametrize(
    "changes",
    [
        {"state": "fresh"},
        {"state": "quarantined"},
        {"expires_s": 99.0},
        {"owner": "device-1"},
        {"nights": 3},
        {"wordings": ["Who made thing 1?"]},
        {"task": "classify"},
    ],
)
def test_what_is_not_agreed_on_lasting_and_common_to_all_is_not_learned(
    changes: dict[str, Any],
) -> None:
    assert may_be_learned(entry(), "generate")
    assert not may_be_learned(entry(**changes), "generate")


def test_a_text_to_be_classified_is_learned_after_one_answer() -> None:
    seen = entry(task="classify", state="fresh", wordings=["a dull film"], answer="negative")

    assert may_be_learned(seen, "classify")


def test_one_wording_of_each_is_held_out_and_the_same_on_every_night() -> None:
    first = choose([entry()], [], [], task="generate", settings=SETTINGS, now_s=1.0)
    second = choose([], [entry()], [], task="generate", settings=SETTINGS, now_s=9.0)

    (new,), (old,) = first.new, second.old
    assert {*new.wordings, new.held_out} == set(entry().wordings)
    assert new == old


def test_what_is_asked_for_most_comes_first() -> None:
    entries = [entry(number, hot=float(number)) for number in range(1, 31)]
    chosen = choose(entries, [], [], task="generate", settings=SETTINGS, now_s=0.0)

    assert [row.entry for row in chosen.new] == list(range(30, 20, -1))


def test_no_answer_is_learned_too_often() -> None:
    entries = [entry(number, answer="everybody") for number in range(1, 41)]
    entries += [entry(number) for number in range(41, 101)]
    settings = NightSettings(base="base", entries=100)
    chosen = choose(entries, [], [], task="generate", settings=settings, now_s=0.0)

    assert sum(row.answer == "everybody" for row in chosen.new) == 5
    assert len(chosen.new) == 65


def test_what_is_learned_anew_is_not_repeated_as_it_was() -> None:
    known = [
        NightRow(wordings=("Who made thing 1?",), answer="somebody else"),
        NightRow(wordings=("Who made thing 7?",), answer="maker 7"),
    ]
    chosen = choose([entry()], [], known, task="generate", settings=SETTINGS, now_s=0.0)

    assert [row.answer for row in chosen.old] == ["maker 7"]


def test_some_texts_that_a_classifier_knows_test_it_and_are_not_repeated() -> None:
    known = [NightRow(wordings=(f"dull film {n}",), answer="negative") for n in range(50)]
    options: dict[str, Any] = {"settings": SETTINGS, "now_s": 0.0}
    kept = choose([], [], known, task="classify", **options).old
    tests = [row for row in kept if not row.wordings]

    assert [row.probe for row in kept] == [row.probe for row in known]
    assert 2 < len(tests) < 20
    assert kept == choose([], [], known, task="classify", **options).old
    assert choose([], [], known, task="generate", **options).old == tuple(known)


def test_what_was_forgotten_since_asks_for_a_fresh_adapter() -> None:
    def fresh(*knew: int) -> bool:
        rows = choose(
            [entry(1)], [entry(2)], [], task="generate", settings=SETTINGS, now_s=0.0, knew=knew
        )
        return rows.fresh

    assert not fresh(1, 2)
    assert fresh(1, 2, 3)


def test_some_texts_to_be_classified_are_held_out_whole() -> None:
    texts = [
        entry(number, task="classify", wordings=[f"text {number}"], answer="positive")
        for number in range(1, 201)
    ]
    settings = NightSettings(base="base", entries=500)
    rows = choose(texts, [], [], task="classify", settings=settings, now_s=0.0).new
    held_out = [row for row in rows if row.held_out]

    assert len(rows) == 200
    assert 20 < len(held_out) < 60
    assert all(bool(row.wordings) != bool(row.held_out) for row in rows)
