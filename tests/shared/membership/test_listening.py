"""Statuses are heard while something is up there, and a while after. It is told the time."""

from __future__ import annotations

import math

from shared.membership.listening import Listening


def test_by_default_one_listens_for_ever() -> None:
    listening = Listening()
    listening.begin(1.0)
    assert not listening.end(1e9)
    assert math.isinf(listening.due_s)


def test_it_ends_a_while_after_the_last_use_and_once() -> None:
    listening = Listening(5.0)
    listening.begin(10.0)
    listening.use(12.0)
    ended = [listening.end(16.9), listening.on, listening.end(17.0), listening.on]
    assert ended == [False, True, True, False]
    assert not listening.end(18.0), "it ended before"


def test_it_goes_on_while_a_prompt_waits_for_somebody_to_come() -> None:
    listening = Listening(5.0)
    listening.begin(0.0)
    listening.found(None)
    assert not listening.end(100.0)
    listening.found("edge-1")
    assert listening.end(100.0)


def test_who_begins_again_is_told_how_long_nobody_listened_and_what_was_known_is_as_of_then() -> (
    None
):
    listening = Listening(5.0)
    assert listening.begin(0.0) is None, "it listens from the start"
    assert listening.as_of(4.0) == 4.0
    assert listening.end(5.0)
    assert listening.as_of(60.0) == 5.0
    assert listening.begin(65.0) == 60.0
    assert listening.begin(65.0) is None
    assert listening.as_of(66.0) == 66.0


def test_one_who_stopped_this_moment_has_to_begin_all_the_same() -> None:
    listening = Listening(5.0)
    listening.begin(0.0)
    assert listening.end(5.0)
    assert listening.begin(5.0) == 0.0
