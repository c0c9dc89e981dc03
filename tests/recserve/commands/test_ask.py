"""What ``recserve ask`` prints of an answer."""

from __future__ import annotations

from typing import Any

import pytest

from recserve.commands.ask import _show

ANSWER: dict[str, Any] = {
    "id": 1,
    "label": "positive",
    "confidence": 0.95,
    "confidence_kind": "remembered",
    "tier": "edge",
    "agent": "edge-1",
    "elapsed_ms": 4.2,
    "hops": [],
}


@pytest.mark.parametrize(
    ("source", "said"),
    [
        (
            {"way": "memory", "model": "big", "version": "f00d", "entries": [7]},
            "from memory entry 7 of big f00d",
        ),
        (
            {"way": "examples", "model": "small", "entries": [7, 9]},
            "from small after memory entries 7, 9",
        ),
        ({"way": "model", "model": "big", "version": "f00d"}, "from big f00d"),
        ({"way": "dream"}, "from {'way': 'dream'}"),
    ],
)
def test_it_says_where_an_answer_comes_from(
    capsys: pytest.CaptureFixture[str], source: dict[str, Any], said: str
) -> None:
    _show(ANSWER | {"source": source}, "classify")
    first, second = capsys.readouterr().out.splitlines()

    assert "95% likely right, as far as the memory knows" in first
    assert second == said


def test_of_a_device_that_does_not_know_it_says_nothing(
    capsys: pytest.CaptureFixture[str],
) -> None:
    _show(ANSWER, "classify")

    assert len(capsys.readouterr().out.splitlines()) == 1
