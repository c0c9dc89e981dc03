"""The roster: who is alive, as far as statuses tell, and who is picked. It is told the time."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from shared.membership.roster import LIMIT, Roster
from tests.support.statuses import offline, online

if TYPE_CHECKING:
    import random


def test_an_agent_is_alive_until_three_heartbeats_were_missed() -> None:
    roster = Roster("edge")
    roster.hear("edge-1", online(), now_s=100.0)
    assert roster.alive("classify", 115.0) == ["edge-1"]
    assert roster.alive("classify", 115.1) == []


def test_an_agent_that_says_goodbye_is_gone_at_once() -> None:
    roster = Roster("edge")
    roster.hear("edge-1", online(), 0.0)
    roster.hear("edge-1", offline(), 1.0)
    assert roster.alive("classify", 1.0) == []


def test_an_agent_whose_status_was_cleared_is_forgotten() -> None:
    roster = Roster("edge")
    roster.hear("edge-1", online(), 0.0)
    roster.forget("edge-1")
    roster.forget("never-heard-of")
    assert roster.alive("classify", 0.0) == []


def test_only_agents_that_serve_the_task_count() -> None:
    roster = Roster("edge")
    roster.hear("edge-1", online(), 0.0)
    assert roster.alive("generate", 0.0) == []


def test_hearing_tells_when_an_agent_comes_alive_and_only_then() -> None:
    roster = Roster("edge")
    assert roster.hear("edge-1", online(), 0.0)
    assert not roster.hear("edge-1", online(), 5.0)
    assert not roster.hear("edge-1", offline(), 6.0)
    assert not roster.hear("edge-1", offline(), 7.0)
    assert roster.hear("edge-1", online(2), 8.0)
    assert roster.hear("edge-1", online(2), 100.0), "it was silent for long"


def test_the_will_of_an_earlier_life_does_not_kill_a_living_agent() -> None:
    roster = Roster("edge")
    roster.hear("edge-1", online(epoch=7), 0.0)
    assert not roster.hear("edge-1", offline(epoch=6), 1.0)
    assert roster.alive("classify", 1.0) == ["edge-1"]


def test_the_will_of_this_life_does() -> None:
    roster = Roster("edge")
    roster.hear("edge-1", online(epoch=7), 0.0)
    roster.hear("edge-1", offline(epoch=7), 1.0)
    assert roster.alive("classify", 1.0) == []


def test_an_agent_whose_clock_was_set_back_is_believed_once_the_old_word_is_stale() -> None:
    """A board without a clock of its own may start again with an earlier epoch than before."""
    roster = Roster("edge")
    roster.hear("edge-1", online(epoch=1_000), 0.0)
    assert not roster.hear("edge-1", online(epoch=10), 5.0)
    assert roster.hear("edge-1", online(epoch=10), 20.0)
    assert roster.alive("classify", 20.0) == ["edge-1"]


def test_the_less_loaded_of_two_is_picked(draw: random.Random) -> None:
    roster = Roster("edge")
    roster.hear("busy", online(wait_ms=500), 0.0)
    roster.hear("idle", online(wait_ms=0), 0.0)
    assert {roster.pick("classify", 0.0, draw) for _ in range(10)} == {"idle"}


def test_what_was_sent_since_counts_as_load_until_the_next_status(draw: random.Random) -> None:
    roster = Roster("edge")
    for agent in ("a", "b"):
        roster.hear(agent, online(service_ms=10), 0.0)

    picked = [roster.pick("classify", 0.0, draw) for _ in range(100)]

    assert picked.count("a") == picked.count("b") == 50
    roster.hear("a", online(service_ms=10), 1.0)
    assert [roster.pick("classify", 1.0, draw) for _ in range(3)] == ["a"] * 3


def test_agents_to_be_avoided_are_never_picked(draw: random.Random) -> None:
    roster = Roster("edge")
    for agent in ("a", "b", "c"):
        roster.hear(agent, online(), 0.0)
    for _ in range(20):
        assert roster.pick("classify", 0.0, draw, avoid={"a", "c"}) == "b"
    assert roster.pick("classify", 0.0, draw, avoid={"a", "b", "c"}) is None


def test_nobody_is_picked_from_an_empty_roster(draw: random.Random) -> None:
    assert Roster("edge").pick("classify", 0.0, draw) is None


def test_best_of_two_keeps_many_agents_even(draw: random.Random) -> None:
    roster = Roster("edge")
    agents = [f"edge-{number}" for number in range(10)]
    for agent in agents:
        roster.hear(agent, online(service_ms=1), 0.0)
    picked = [roster.pick("classify", 0.0, draw) for _ in range(2_000)]
    counts = [picked.count(agent) for agent in agents]
    assert max(counts) - min(counts) < 10, "drawing one at random would spread them over 80"


# -- whom to believe, and how many -------------------------------------------------------------


def test_a_ghost_of_long_heartbeats_keeps_the_living_out_for_no_longer_than_others() -> None:
    roster = Roster("edge")
    ghost = msgspec.structs.replace(online(epoch=1_000), heartbeat_s=3600.0)
    roster.hear("edge-1", ghost, 0.0)
    assert not roster.hear("edge-1", online(epoch=5), 60.0)
    roster.hear("edge-1", online(epoch=5), 91.0)
    roster.hear("edge-1", offline(epoch=5), 92.0)
    assert roster.alive("classify", 92.0) == []


def test_an_epoch_beyond_all_clocks_neither_takes_a_living_agents_place_nor_keeps_it() -> None:
    now_ms = 1_800_000_000_000
    roster = Roster("edge")
    roster.hear("edge-1", online(now_ms), 0.0, clock_ms=now_ms)
    roster.hear("edge-1", offline(1 << 52), 1.0, clock_ms=now_ms)
    assert roster.alive("classify", 1.0) == ["edge-1"]

    late = Roster("edge")
    late.hear("edge-1", online(1 << 52), 0.0, clock_ms=now_ms)
    late.hear("edge-1", offline(now_ms), 1.0, clock_ms=now_ms)
    assert late.alive("classify", 1.0) == []


def test_a_device_whose_clock_is_wrong_still_knows_a_ghost_of_the_same_day() -> None:
    roster = Roster("edge")
    roster.hear("edge-1", online(1_800_000_000_000), 0.0, clock_ms=0)
    roster.hear("edge-1", offline(1_799_999_999_000), 1.0, clock_ms=0)
    assert roster.alive("classify", 1.0) == ["edge-1"]


def test_strangers_without_end_fill_a_bounded_memory_and_the_dead_make_room() -> None:
    roster = Roster("edge")
    roster.hear("edge-1", online(), 0.0)
    for number in range(3 * LIMIT):
        roster.hear(f"fake-{number}", online(), 1.0)
    assert roster.count_alive(1.0) == LIMIT
    assert "edge-1" in roster.alive("classify", 1.0)
    assert not roster.hear("edge-2", online(), 2.0)
    assert roster.hear("edge-2", online(), 100.0)
    assert roster.alive("classify", 100.0) == ["edge-2"]


# -- between two times of listening ------------------------------------------------------------


def test_how_loaded_agents_were_before_says_nothing(draw: random.Random) -> None:
    roster = Roster("edge")
    roster.hear("edge-1", online(wait_ms=500.0), 0.0)
    roster.hear("edge-2", online(), 0.0)
    assert {roster.pick("classify", 0.0, draw) for _ in range(20)} == {"edge-2"}
    roster.resume(60.0)
    assert {roster.pick("classify", 60.0, draw) for _ in range(20)} == {"edge-1", "edge-2"}
