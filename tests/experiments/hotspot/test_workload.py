from __future__ import annotations

import json
from collections import Counter
from typing import TYPE_CHECKING

import pytest

from experiments.hotspot.cloud import RecordedCloud
from experiments.hotspot.facts import TEMPLATES, generate, is_right, read_popqa
from experiments.hotspot.settings import HotspotSettings
from experiments.hotspot.workload import draw_questions
from shared.errors import DataError

if TYPE_CHECKING:
    from pathlib import Path

FACTS = generate(400, 1)
SMALL = HotspotSettings(days=3, questions_a_day=500, warm_up=200)


def test_facts_are_of_sixteen_relations_with_four_wordings_each() -> None:
    assert len(TEMPLATES) == 16
    assert {len(set(fact.wordings())) for fact in FACTS} == {4}
    assert {fact.relation for fact in FACTS} == set(TEMPLATES)
    assert generate(400, 1) == FACTS != generate(400, 2)


def test_the_same_seed_draws_the_same_questions() -> None:
    again = HotspotSettings(days=3, questions_a_day=500, warm_up=200)
    other = HotspotSettings(days=3, questions_a_day=500, warm_up=200, seed=1)

    assert draw_questions(FACTS, SMALL) == draw_questions(FACTS, again)
    assert draw_questions(FACTS, SMALL) != draw_questions(FACTS, other)


def test_a_few_facts_are_asked_for_often_and_days_have_their_number() -> None:
    asked = draw_questions(FACTS, SMALL)
    often = Counter(each.fact.number for each in asked).most_common(40)

    assert Counter(each.day for each in asked) == {0: 200, 1: 500, 2: 500, 3: 500}
    assert sum(count for _, count in often) > 0.4 * len(asked)


def test_rows_of_popqa_become_facts(tmp_path: Path) -> None:
    path = tmp_path / "rows.jsonl"
    row = {"question": "What is the capital of Utah?", "answers": ["Salt Lake City"], "s_pop": 9}
    path.write_text(json.dumps(row) + "\n")
    (fact,) = read_popqa(path)

    assert (fact.relation, fact.subject) == ("capital", "Utah")
    assert is_right("it is salt lake city", fact)


@pytest.mark.parametrize("text", ["not json\n", '{"question": 3}\n', ""])
def test_a_file_that_is_no_popqa_is_named(tmp_path: Path, text: str) -> None:
    path = tmp_path / "rows.jsonl"
    path.write_text(text)

    with pytest.raises(DataError, match=r"rows\.jsonl"):
        read_popqa(path)


def test_a_recorded_cloud_says_the_same_again_and_strictly_nothing_else(tmp_path: Path) -> None:
    path = tmp_path / "cloud.jsonl"
    first = RecordedCloud(FACTS, SMALL, path)
    said = [first.ask(fact, fact.wordings()[0]) for fact in FACTS]
    first.close()
    strict = HotspotSettings(cloud_mode="replay-strict", seed=99)
    again = RecordedCloud(FACTS, strict, path)

    assert [again.ask(fact, fact.wordings()[0]) for fact in FACTS] == said
    with pytest.raises(DataError, match="has no answer to"):
        again.ask(FACTS[0], "something else")
    wrong = sum(not is_right(one.answer, fact) for one, fact in zip(said, FACTS, strict=True))
    assert 0.03 < wrong / len(FACTS) < 0.12
