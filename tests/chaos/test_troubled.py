"""Models in trouble answer as they would, later; and what they begin with can be counted."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from chaos.troubled import Trouble, begun_of, troubled
from shared.runtimes import Generator
from shared.tasks import Request
from tests.support.fakes import LookupModel, SteppingModel

if TYPE_CHECKING:
    import pytest

WRITE = Request("generate", "write", {"max_new_tokens": 3})


def test_a_text_is_held_back_for_its_time_and_no_other_is_held_up() -> None:
    slow = troubled(SteppingModel("writer"), Trouble(batch_s=0.1))
    assert isinstance(slow, Generator)
    started_s = time.monotonic()
    under_way = [slow.begin(WRITE), slow.begin(WRITE)]
    entries = slow.step(under_way)
    while not all(entries):
        entries = slow.step(under_way)

    assert time.monotonic() - started_s >= 0.1
    assert [generation.written for generation in under_way] == [3, 3]
    assert entries == list(SteppingModel("writer").answer([WRITE, WRITE]))


def test_what_is_begun_with_is_told(capsys: pytest.CaptureFixture[str]) -> None:
    telling = Trouble(tells=True)
    writer = troubled(SteppingModel("writer"), telling)
    assert isinstance(writer, Generator)
    for _ in range(2):
        writer.begin(WRITE)
    troubled(LookupModel("labels"), telling).answer([Request("classify", "a label")])

    log = "a line of the log\n" + capsys.readouterr().err
    assert begun_of(log) == {"write": 2, "a label": 1}
