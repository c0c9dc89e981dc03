"""What an agent makes of its own status: canary, epochs, and who yields to whom."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from shared.membership.incarnation import AHEAD_MS, EPOCHS, Move
from tests.support.incarnations import offline, online, settled, standing

if TYPE_CHECKING:
    from collections.abc import Callable

    from shared.membership.status import Status


# -- what stands on our own topic --------------------------------------------------------------


@pytest.mark.parametrize("state", [online, offline], ids=["online", "offline"])
def test_at_first_a_later_epoch_is_overtaken(state: Callable[[int, str], Status]) -> None:
    ours = standing(10)
    assert ours.hear(state(50, "earlier life")) is Move.RENEW
    assert ours.epoch == 51


def test_at_first_an_earlier_epoch_means_nothing() -> None:
    ours = standing(10)
    assert ours.hear(online(9, "earlier life")) is Move.NOTHING
    assert ours.epoch == 10


def test_an_equal_epoch_of_another_life_is_overtaken_or_stale_by_its_boot_id() -> None:
    """So that two clocks that stand still do not make two agents of one name."""
    assert standing(10, "b").hear(online(10, "c")) is Move.RENEW
    assert settled(10, "b").hear(online(10, "c")) is Move.FENCED
    assert settled(10, "b").hear(online(10, "a")) is Move.ANNOUNCE


def test_once_heard_it_yields_to_a_later_epoch_and_keeps_its_own() -> None:
    ours = settled(10)
    assert ours.hear(online(11, "newer process")) is Move.FENCED
    assert ours.epoch == 10


def test_a_late_will_with_a_later_epoch_is_overwritten_however_often_it_is_brought() -> None:
    ours = settled(10, "b")
    assert ours.hear(offline(11, "earlier life")) is Move.ANNOUNCE
    assert ours.hear(offline(11, "earlier life")) is Move.ANNOUNCE
    ours.hear(online(10, "b"))
    assert ours.hear(offline(12, "another earlier life")) is Move.ANNOUNCE


def test_a_later_epoch_that_a_broker_had_kept_is_overwritten_until_it_comes_alive() -> None:
    """A fallback may have kept an earlier life's word, from before its clock was put right."""
    ours = settled(10)
    assert ours.hear(online(11, "earlier life"), live=False) is Move.ANNOUNCE
    assert ours.hear(online(11, "earlier life"), live=True) is Move.FENCED


def test_a_newer_process_that_leaves_its_will_again_and_again_is_alive() -> None:
    """Two processes with one client id: the broker ends each one's connection for the other's."""
    ours = settled(10, "b")
    ours.hear(offline(11, "newer process"))
    ours.hear(online(10, "b"))
    assert ours.hear(offline(11, "newer process")) is Move.FENCED


@pytest.mark.parametrize("state", [online, offline], ids=["online", "offline"])
def test_once_heard_it_overwrites_what_is_stale(state: Callable[[int, str], Status]) -> None:
    assert settled(10).hear(state(9, "earlier life")) is Move.ANNOUNCE


def test_the_will_of_a_connection_that_was_replaced_is_overwritten() -> None:
    assert settled(10, "b").hear(offline(10, "b")) is Move.ANNOUNCE


def test_an_echo_from_before_a_later_epoch_was_taken_is_not_the_canary() -> None:
    ours = standing(10, "b")
    ours.hear(online(50, "earlier life"))
    assert ours.hear(online(10, "b")) is Move.NOTHING
    assert ours.hear(online(60, "earlier life")) is Move.RENEW, "it was not heard yet"
    assert ours.epoch == 61


def test_the_last_epoch_that_can_be_said_is_not_overtaken() -> None:
    ours = standing(10)
    assert ours.hear(online(EPOCHS - 1, "hostile")) is Move.NOTHING
    assert ours.epoch == 10


# -- the canary --------------------------------------------------------------------------------


@pytest.mark.parametrize(("heartbeat_s", "deaf_after_s"), [(5.0, 10.0), (0.1, 2.0)])
def test_two_heartbeats_without_an_echo_mean_a_deaf_connection(
    heartbeat_s: float, deaf_after_s: float
) -> None:
    ours = standing(heartbeat_s=heartbeat_s)
    found_s, beat = 0.0, 0
    while not ours.half_open(beat * heartbeat_s):
        ours.announced(beat * heartbeat_s)
        beat += 1
        found_s = beat * heartbeat_s
        assert beat < 100
    assert found_s == pytest.approx(deaf_after_s)


def test_an_echo_at_each_heartbeat_keeps_the_connection() -> None:
    ours = standing(10, "b")
    for beat in range(20):
        assert not ours.half_open(5.0 * beat)
        ours.announced(5.0 * beat)
        ours.hear(online(10, "b"))


def test_a_process_that_was_stopped_for_a_while_gives_the_echo_its_chance() -> None:
    """After SIGSTOP the echo lies in the socket, and the clock has run on."""
    ours = standing(heartbeat_s=5.0)
    ours.announced(0.0)
    assert not ours.half_open(600.0)
    ours.announced(600.0)
    ours.hear(online(10, "b"))
    assert not ours.half_open(605.0)


def test_the_words_of_others_are_no_echo() -> None:
    ours = standing()
    for now_s in (0.0, 5.0):
        ours.announced(now_s)
        ours.hear(online(9, "another"))
    assert ours.half_open(10.0)


def test_a_new_connection_owes_no_echo_yet() -> None:
    ours = standing()
    ours.announced(0.0)
    ours.announced(5.0)
    ours.connected()
    assert not ours.half_open(10.0)


# -- any number of processes on one topic ------------------------------------------------------


@pytest.mark.parametrize("ahead", [AHEAD_MS + 1, EPOCHS // 2])
def test_an_epoch_beyond_all_clocks_is_nobodys_and_is_spoken_over(ahead: int) -> None:
    assert settled(epoch=10).hear(online(10 + ahead, "z")) is Move.ANNOUNCE
    young = standing(epoch=10)
    assert young.hear(online(10 + ahead, "z")) is Move.NOTHING
    assert young.epoch == 10


def test_a_process_that_began_with_a_wrong_clock_still_knows_who_is_newer() -> None:
    began_in_1970 = settled(epoch=10)
    now_ms = 1_800_000_000_000
    assert began_in_1970.hear(online(now_ms, "z"), clock_ms=now_ms) is Move.FENCED
