"""What is asked of a site: many different texts for every task, and options that it knows."""

from __future__ import annotations

import pytest

from chaos.questions import OPTIONS, texts_of
from shared.tasks import TASKS, Task, check


@pytest.mark.parametrize("task", TASKS)
def test_there_are_many_texts_for_every_task(task: Task) -> None:
    texts = texts_of(task)
    assert len(set(texts)) >= 100
    assert all(text.strip() for text in texts)
    check(task, OPTIONS.get(task, {}))
