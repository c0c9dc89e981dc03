"""Labels that a roster and its agents must have in common."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from shared.membership.roster import Roster
from shared.membership.status import NO_LABELS, Status, name_labels
from tests.support.statuses import online

if TYPE_CHECKING:
    import random

    from shared.tasks import Task


def test_agents_with_other_labels_are_not_picked_and_are_named(draw: random.Random) -> None:
    roster = Roster("edge", name_labels(["calm", "angry"]))
    other = name_labels(["calm"])
    roster.hear("edge-1", msgspec.structs.replace(online(), labels=other), 0.0)
    assert roster.pick("classify", 0.0, draw, doubted=True) is None
    assert roster.misfits(0.0) == ["edge-1"]
    roster.hear("edge-2", online(), 0.0)
    assert roster.pick("classify", 0.0, draw) == "edge-2", "one that does not say is believed"


WRITER = Status("online", 1, ("classify", "generate"), labels=NO_LABELS)


MOODS = name_labels(["calm", "angry"])


def test_labels_are_of_no_account_for_tasks_that_have_none(draw: random.Random) -> None:
    roster = Roster("edge", MOODS, ("classify", "generate"))
    roster.hear("edge-1", WRITER, 0.0)
    assert roster.pick("generate", 0.0, draw) == "edge-1"
    assert roster.pick("classify", 0.0, draw) is None, "it would not know among which"
    assert (roster.misfits(0.0), roster.count_fit(0.0)) == ([], 1)


def test_whoever_writes_chooses_among_the_labels_that_a_prompt_brings(draw: random.Random) -> None:
    roster = Roster("edge", NO_LABELS, WRITER.tasks)
    other = name_labels(["leak", "noise"])
    roster.hear("edge-1", msgspec.structs.replace(WRITER, labels=other), 0.0)
    roster.hear("edge-2", msgspec.structs.replace(online(), labels=MOODS), 0.0)
    assert set(roster.alive("classify", 0.0, name_labels(["yes", "no"]))) == {"edge-1"}
    assert set(roster.alive("classify", 0.0, MOODS)) == {"edge-1", "edge-2"}
    assert roster.misfits(0.0) == []


def test_a_writer_without_labels_above_a_classifier_alone_is_a_misfit() -> None:
    ours: tuple[Task, ...] = ("classify",)
    roster = Roster("edge", MOODS, ours)
    roster.hear("edge-1", WRITER, 0.0)
    roster.hear("edge-2", msgspec.structs.replace(WRITER, labels=MOODS), 0.0)
    roster.hear("edge-3", msgspec.structs.replace(WRITER, tasks=("tag",)), 0.0)
    assert roster.misfits(0.0) == ["edge-1"], "the third is somebody else's, and no misfit"
    assert roster.alive("classify", 0.0) == ["edge-2"]
    assert roster.count_fit(0.0) == 1


def test_labels_are_named_alike_whatever_their_order_and_shortly_however_many() -> None:
    assert name_labels(["b", "a"]) == name_labels(["a", "b"]) == '["a", "b"]'
    assert name_labels(["a, b"]) != name_labels(["a", "b"])
    many = [f"intent {number}" for number in range(1_000)]
    assert name_labels(many) == name_labels(many[::-1])
    assert len(name_labels(many)) < 100
    assert name_labels(many) != name_labels(many[1:])
