"""docs/tasks.md: its questions are ones, and its answers are what an asker would be told."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import msgspec
import pytest

from device_agent.api.schema import read_ask
from shared import tasks
from shared.tasks.classify import ClassifyOptions
from shared.tasks.generate import AGREEMENT, MOST_NEW_TOKENS, GenerateOptions

if TYPE_CHECKING:
    from shared.tasks import Task

PAGE = (Path(__file__).parents[3] / "docs/tasks.md").read_text(encoding="utf-8")
BLOCKS = [
    cast("dict[str, Any]", msgspec.json.decode(block))
    for block in re.findall(r"```json\n(.*?)```", PAGE, re.DOTALL)
]
QUESTIONS = [block for block in BLOCKS if "confidence" not in block]
ANSWERS = [block for block in BLOCKS if "confidence" in block]


def test_there_are_questions_and_an_answer_of_each_task() -> None:
    assert {block.get("task", "classify") for block in QUESTIONS} == set(tasks.TASKS)
    assert len(ANSWERS) == len(tasks.TASKS)


@pytest.mark.parametrize("question", QUESTIONS, ids=lambda block: str(block["id"]))
def test_a_question_of_the_page_is_one(question: dict[str, Any]) -> None:
    ask = read_ask(msgspec.json.encode(question))
    tasks.check(cast("Task", ask.task), ask.options)


@pytest.mark.parametrize("answer", ANSWERS, ids=lambda block: str(block["id"]))
def test_an_answer_of_the_page_is_read_back_as_its_task_writes_it(answer: dict[str, Any]) -> None:
    (task,) = (each.get("task", "classify") for each in QUESTIONS if each["id"] == answer["id"])
    read = tasks.from_json(task, answer)
    assert tasks.to_json(read).items() <= answer.items()


@pytest.mark.parametrize("kind", [GenerateOptions, ClassifyOptions])
def test_every_option_has_its_line(kind: type[msgspec.Struct]) -> None:
    listed = set(re.findall(r"^\| (.*?) \|", PAGE, re.MULTILINE))
    named = set(re.findall(r"`(\w+)`", " ".join(listed)))
    assert set(kind.__struct_fields__) <= named


def test_its_figures_are_those_of_the_code() -> None:
    assert f"1 to {MOST_NEW_TOKENS:,}" in PAGE
    assert f"is at least {AGREEMENT}." in PAGE
