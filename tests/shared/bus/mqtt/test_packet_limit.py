"""How large a packet a broker carries: said, set, or learned the hard way."""

from __future__ import annotations

import pytest

from shared.bus.mqtt.packet_limit import FORGOTTEN_S, LARGE_BYTES, PacketLimit
from shared.errors import TooLarge

BIG = 5 * LARGE_BYTES


def sends(limit: PacketLimit, size: int, now_s: float = 0.0) -> bool:
    try:
        limit.check("t", bytes(size), now_s)
    except TooLarge:
        return False
    return True


def test_a_packet_beyond_what_the_broker_said_is_refused_by_name_and_size() -> None:
    limit = PacketLimit(1 << 20)
    limit.connected(1_000)
    assert sends(limit, 900)
    with pytest.raises(TooLarge, match=r"2000 bytes on 'a/b'.* 1000 bytes"):
        limit.check("a/b", bytes(2_000), 0.0)


def test_a_broker_that_says_nothing_has_the_limit_of_the_settings() -> None:
    limit = PacketLimit(1_000)
    limit.connected(None)
    assert not sends(limit, 2_000)
    limit.connected(4_000)
    assert sends(limit, 2_000)


def test_two_connections_that_end_under_a_large_packet_are_word_enough() -> None:
    limit = PacketLimit(1 << 20)
    for _ in range(2):
        limit.connected(None)
        assert sends(limit, BIG)
        limit.lost(BIG, 10.0)
    limit.connected(None)
    assert not sends(limit, BIG, 11.0)
    assert sends(limit, BIG // 2, 11.0)
    assert sends(limit, BIG, 11.0 + FORGOTTEN_S)


def test_many_packets_lost_with_one_connection_are_one_word() -> None:
    limit = PacketLimit(1 << 20)
    limit.connected(None)
    for _ in range(5):
        limit.lost(BIG, 1.0)
    assert sends(limit, BIG, 1.0)


def test_small_packets_are_never_suspected() -> None:
    limit = PacketLimit(1 << 20)
    for _ in range(9):
        limit.connected(None)
        limit.lost(LARGE_BYTES - 1, 1.0)
    assert sends(limit, LARGE_BYTES, 1.0)


def test_a_connection_that_holds_under_such_a_packet_clears_it() -> None:
    limit = PacketLimit(1 << 20)
    limit.connected(None)
    limit.lost(BIG, 1.0)
    limit.connected(None)
    limit.took(BIG + 1)
    limit.connected(None)
    limit.lost(BIG, 2.0)
    assert sends(limit, BIG, 2.0)


def test_connections_that_end_without_one_in_between_are_no_word() -> None:
    limit = PacketLimit(1 << 20)
    for _ in range(4):
        limit.connected(None)
        limit.lost(BIG, 1.0)
        limit.connected(None)
    assert sends(limit, BIG, 1.0)
