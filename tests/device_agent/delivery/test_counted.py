"""Every text that a generator is at work on when the device dies is held against it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from device_agent.delivery.attempts import Attempts
from device_agent.delivery.counted import CountedGenerator, counted
from shared.messages import Scored
from shared.runtimes import Generator
from shared.tasks import Request
from tests.support.fakes import BREAKS, LookupModel, SteppingModel

if TYPE_CHECKING:
    from pathlib import Path


def died_of(path: Path, *texts: str) -> list[int]:
    """Return what a process that starts now finds: the one before has not closed its file."""
    found = Attempts(path)
    try:
        return [found.died_of(text) for text in texts]
    finally:
        found.close()


def generate(text: str, tokens: int) -> Request:
    return Request("generate", text, {"max_new_tokens": tokens})


def test_what_is_under_way_is_inside_and_what_has_ended_is_not(tmp_path: Path) -> None:
    path = tmp_path / "attempts"
    attempts = Attempts(path)
    model = counted(SteppingModel(), attempts)
    assert isinstance(model, CountedGenerator)
    assert isinstance(model, Generator)
    short, long = model.begin(generate("short", 1)), model.begin(generate("long", 9))

    model.step([short, long])
    attempts.close()

    assert died_of(path, "short", "long", "other") == [0, 1, 0]


def test_a_text_that_is_called_off_is_outside(tmp_path: Path) -> None:
    path = tmp_path / "attempts"
    attempts = Attempts(path)
    model = counted(SteppingModel(), attempts)
    assert isinstance(model, CountedGenerator)
    text = model.begin(generate("called off", 9))
    model.step([text])
    text.close()
    attempts.close()

    assert died_of(path, "called off") == [0]


def test_it_answers_as_its_model_does_and_breaks_as_it_does(tmp_path: Path) -> None:
    attempts = Attempts(tmp_path / "attempts")
    model = counted(SteppingModel(), attempts)
    (entry,) = model.answer([generate("x", 3)])
    assert isinstance(entry, Scored)
    with pytest.raises(RuntimeError, match="the model broke"):
        model.answer([generate(BREAKS, 3)])
    attempts.close()


def test_any_other_model_is_counted_by_its_batches(tmp_path: Path) -> None:
    attempts = Attempts(tmp_path / "attempts")
    assert not isinstance(counted(LookupModel(), attempts), Generator)
    attempts.close()
