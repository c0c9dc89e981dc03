"""The roster: who is alive, as far as statuses tell, and who is picked. It is told the time."""

from __future__ import annotations

import random
from typing import TYPE_CHECKING

import msgspec
import pytest

from shared.membership.breaker import FAILURES, JITTER, PAUSE_MIN_S
from shared.membership.roster import LIMIT, Roster
from shared.membership.status import NO_LABELS, Load, Status, name_labels

if TYPE_CHECKING:
    from shared.tasks import Task


def online(epoch: int = 1, *, wait_ms: float = 0.0, service_ms: float = 10.0) -> Status:
    return Status("online", epoch, ("classify",), "m", Load(wait_ms, service_ms), heartbeat_s=5.0)


def offline(epoch: int = 1) -> Status:
    return Status("offline", epoch)


@pytest.fixture
def draw() -> random.Random:
    return random.Random(5)


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


# -- agents that fail --------------------------------------------------------------------------


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


# -- doubt -------------------------------------------------------------------------------------


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


def test_labels_are_named_alike_whatever_their_order_and_shortly_however_many() -> None:
    assert name_labels(["b", "a"]) == name_labels(["a", "b"]) == '["a", "b"]'
    assert name_labels(["a, b"]) != name_labels(["a", "b"])
    many = [f"intent {number}" for number in range(1_000)]
    assert name_labels(many) == name_labels(many[::-1])
    assert len(name_labels(many)) < 100
    assert name_labels(many) != name_labels(many[1:])


# -- between two times of listening ------------------------------------------------------------


def test_nobody_was_silent_while_nobody_listened(draw: random.Random) -> None:
    roster = Roster("edge")
    roster.hear("edge-1", online(), 0.0)
    roster.resume(3600.0)
    assert roster.alive("classify", 3615.0) == ["edge-1"]
    assert roster.alive("classify", 3615.1) == []
    assert not roster.doubt("edge-1", 3605.0, draw, stopped=False)


def test_how_loaded_agents_were_before_says_nothing(draw: random.Random) -> None:
    roster = Roster("edge")
    roster.hear("edge-1", online(wait_ms=500.0), 0.0)
    roster.hear("edge-2", online(), 0.0)
    assert {roster.pick("classify", 0.0, draw) for _ in range(20)} == {"edge-2"}
    roster.resume(60.0)
    assert {roster.pick("classify", 60.0, draw) for _ in range(20)} == {"edge-1", "edge-2"}


def test_what_the_broker_kept_is_no_word_of_an_agent_that_is_doubted(draw: random.Random) -> None:
    roster = Roster("edge")
    for agent in ("edge-1", "edge-2"):
        roster.hear(agent, online(), 0.0)
    roster.doubt("edge-1", 1.0, draw, stopped=False)

    roster.hear("edge-1", online(), 2.0, kept=True)
    assert {roster.pick("classify", 2.0, draw) for _ in range(20)} == {"edge-2"}
    roster.hear("edge-1", online(), 3.0)
    assert "edge-1" in {roster.pick("classify", 3.0, draw) for _ in range(20)}
