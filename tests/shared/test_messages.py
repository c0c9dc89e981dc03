"""The values that pass between the parts are frozen, and grow only by being replaced."""

from __future__ import annotations

from uuid import UUID

import pytest

from shared.messages import Failure, Hop, Prompt, Result, Scored
from shared.tasks import TASKS
from shared.tasks.classify import Label

ID = UUID(int=1)
HOP = Hop("device", "device-1", 0.5, 0.7, 10)


def test_a_prompt_after_a_hop_is_another_prompt_with_that_hop_last() -> None:
    prompt = Prompt(ID, "device-1", "classify", "text", 1.0)
    second = Hop("edge", "edge-1", 0.9, 0.1, 20)

    seen = prompt.after(HOP).after(second)

    assert prompt.hops == ()
    assert seen.hops == (HOP, second)
    assert (seen.id, seen.origin, seen.task, seen.text, seen.deadline_s) == (
        ID,
        "device-1",
        "classify",
        "text",
        1.0,
    )


def test_whether_a_copy_is_wanted_is_said_anew_at_every_hop() -> None:
    prompt = Prompt(ID, "device-1", "classify", "text", 1.0)
    asked = prompt.after(HOP, copy=True)
    assert asked.copy
    assert not asked.after(HOP).copy


def test_a_result_says_which_tier_answered_and_how_sure_it_was() -> None:
    result = Result(ID, Label("yes"), (HOP, Hop("edge", "edge-1", 0.9, 0.1, 20)))
    assert (result.tier, result.confidence) == ("edge", 0.9)


def test_a_result_that_no_tier_saw_names_none() -> None:
    result = Result(ID, Failure("busy", "too much to do"))
    assert (result.tier, result.confidence, result.degraded) == ("", 0.0, "")


@pytest.mark.parametrize(
    "value",
    [
        Label("x"),
        Failure("a", "b"),
        HOP,
        Prompt(ID, "d", "classify", "t", 1.0),
        Result(ID, Label("x")),
        Scored(Label("x"), 0.5, 1),
    ],
    ids=lambda value: type(value).__name__,
)
def test_every_value_is_frozen(value: object) -> None:
    field = type(value).__annotations__.keys().__iter__().__next__()
    with pytest.raises(AttributeError, match="immutable"):
        setattr(value, field, None)


def test_classify_is_a_task() -> None:
    assert "classify" in TASKS
