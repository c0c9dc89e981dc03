"""Agents that fail, or that are doubted, and how they are excused."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from shared.membership.breaker import FAILURES, JITTER, PAUSE_MIN_S
from shared.membership.roster import Roster
from shared.membership.status import Status
from tests.support.statuses import online

if TYPE_CHECKING:
    import random


def fail(roster: Roster, agent: str, draw: random.Random, now_s: float = 0.0) -> list[bool]:
    return [roster.failed(agent, now_s, draw) for _ in range(FAILURES)]


def test_an_agent_that_fails_again_and_again_is_not_picked_though_alive(
    draw: random.Random,
) -> None:
    roster = Roster("edge")
    for agent in ("a", "b"):
        roster.hear(agent, online(), 0.0)

    assert fail(roster, "a", draw)[-1] is True

    assert {roster.pick("classify", 0.0, draw) for _ in range(20)} == {"b"}
    assert roster.count_open_breakers() == 1
    fail(roster, "b", draw)
    assert roster.pick("classify", 0.0, draw) is None
    assert roster.alive("classify", 0.0) == ["a", "b"]


def test_after_its_pause_one_prompt_tries_it(draw: random.Random) -> None:
    roster = Roster("edge")
    roster.hear("a", online(), 0.0)
    fail(roster, "a", draw)
    later_s = PAUSE_MIN_S * (1 + JITTER)

    picked = [roster.pick("classify", later_s, draw) for _ in range(3)]

    assert picked == ["a", None, None]
    assert roster.succeeded("a", later_s)
    assert roster.pick("classify", later_s, draw) == "a"
    assert roster.count_open_breakers() == 0


def test_its_heartbeats_do_not_excuse_an_agent_but_a_new_life_does(draw: random.Random) -> None:
    roster = Roster("edge")
    first, second = (Status("online", 1, ("classify",), boot=boot) for boot in ("x", "y"))
    roster.hear("a", first, 0.0)
    fail(roster, "a", draw)
    roster.hear("a", first, 1.0)
    assert roster.pick("classify", 1.0, draw) is None

    roster.hear("a", second, 2.0)

    assert roster.pick("classify", 2.0, draw) == "a"


def test_word_of_an_agent_that_nobody_knows_means_nothing(draw: random.Random) -> None:
    roster = Roster("edge")
    assert not any(fail(roster, "stranger", draw))
    assert not roster.succeeded("stranger", 0.0)
    assert roster.count_open_breakers() == 0


def test_one_that_is_doubted_is_asked_only_if_there_is_no_other_until_it_is_heard_of(
    draw: random.Random,
) -> None:
    roster = Roster("edge")
    roster.hear("edge-1", online(), 0.0)
    roster.hear("edge-2", online(), 0.0)
    roster.doubt("edge-1", 1.0, draw, stopped=False)

    assert {roster.pick("classify", 1.0, draw) for _ in range(10)} == {"edge-2"}
    assert roster.pick("classify", 1.0, draw, {"edge-2"}) is None
    assert roster.pick("classify", 1.0, draw, {"edge-2"}, doubted=True) == "edge-1"

    roster.hear("edge-1", online(), 2.0)
    assert {roster.pick("classify", 2.0, draw) for _ in range(20)} == {"edge-1", "edge-2"}


@pytest.mark.parametrize("word", ["works", "succeeded"])
def test_a_word_of_it_ends_the_doubt(draw: random.Random, word: str) -> None:
    roster = Roster("edge")
    roster.hear("edge-1", online(), 0.0)
    roster.doubt("edge-1", 1.0, draw, stopped=False)
    if word == "works":
        roster.works("edge-1")
    else:
        roster.succeeded("edge-1", 1.0)
    assert roster.pick("classify", 1.0, draw) == "edge-1"


def test_silence_is_no_failure_while_the_heartbeat_comes(draw: random.Random) -> None:
    roster = Roster("edge")
    roster.hear("edge-1", online(), 0.0)
    assert not any(roster.doubt("edge-1", 1.0, draw, stopped=False) for _ in range(50))
    assert roster.count_open_breakers() == 0


@pytest.mark.parametrize(("now_s", "stopped"), [(8.0, False), (1.0, True)])
def test_silence_is_a_failure_when_the_heartbeat_is_late_or_work_stopped(
    draw: random.Random, now_s: float, stopped: bool
) -> None:
    roster = Roster("edge")
    roster.hear("edge-1", online(), 0.0)
    opened = [roster.doubt("edge-1", now_s, draw, stopped=stopped) for _ in range(FAILURES)]
    assert opened == [False] * (FAILURES - 1) + [True]


def test_one_whose_heartbeat_is_late_is_asked_only_if_there_is_no_other(
    draw: random.Random,
) -> None:
    roster = Roster("edge")
    roster.hear("edge-1", online(), 0.0)
    roster.hear("edge-2", online(), 5.0)
    assert {roster.pick("classify", 8.0, draw) for _ in range(10)} == {"edge-2"}
    assert roster.pick("classify", 8.0, draw, {"edge-2"}, doubted=True) == "edge-1"


def test_nobody_was_silent_while_nobody_listened(draw: random.Random) -> None:
    roster = Roster("edge")
    roster.hear("edge-1", online(), 0.0)
    roster.resume(3600.0)
    assert roster.alive("classify", 3615.0) == ["edge-1"]
    assert roster.alive("classify", 3615.1) == []
    assert not roster.doubt("edge-1", 3605.0, draw, stopped=False)


def test_what_the_broker_kept_is_no_word_of_an_agent_that_is_doubted(draw: random.Random) -> None:
    roster = Roster("edge")
    for agent in ("edge-1", "edge-2"):
        roster.hear(agent, online(), 0.0)
    roster.doubt("edge-1", 1.0, draw, stopped=False)

    roster.hear("edge-1", online(), 2.0, kept=True)
    assert {roster.pick("classify", 2.0, draw) for _ in range(20)} == {"edge-2"}
    roster.hear("edge-1", online(), 3.0)
    assert "edge-1" in {roster.pick("classify", 3.0, draw) for _ in range(20)}
