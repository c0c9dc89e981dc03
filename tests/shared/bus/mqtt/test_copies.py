"""Which filters a packet is for, as each kind of broker sends its copies."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from shared.bus.mqtt.copies import Copies, Packet

if TYPE_CHECKING:
    from collections.abc import Sequence

WIDE, NARROW, OTHER = "hall/#", "hall/+/log", "yard/log"


def subscribed(*filters: str) -> Copies:
    copies = Copies()
    for topics in filters:
        copies.ask(topics)
        copies.agree(topics)
    return copies


def said(payload: bytes, topic: str = "hall/3/log", *, retained: bool = False) -> Packet:
    return Packet(topic, payload, retained)


def handed(copies: Copies, packets: Sequence[Packet]) -> list[list[str]]:
    return [copies.filters(packet) for packet in packets]


def test_an_identifier_says_whose_a_copy_is() -> None:
    copies = subscribed(WIDE, OTHER, NARROW)
    assert copies.filters(said(b"a"), [3]) == [NARROW]
    assert copies.filters(said(b"a"), [1]) == [WIDE]
    assert copies.filters(said(b"a"), [1, 3]) == [WIDE, NARROW]


def test_a_filter_asked_for_again_keeps_its_identifier() -> None:
    copies = Copies()
    assert [copies.ask(each) for each in (WIDE, NARROW, WIDE)][::2] == [1, 1]


def test_without_identifiers_one_copy_for_each_filter_counts_once() -> None:
    copies = subscribed(WIDE, NARROW)
    packets = [said(text) for text in (b"a", b"a", b"b", b"b", b"b", b"b")]
    both = [WIDE, NARROW]
    assert handed(copies, packets) == [both, [], both, [], both, []]


def test_without_identifiers_one_copy_for_all_is_learned_from_the_first_that_stays_alone() -> None:
    copies = subscribed(WIDE, NARROW)
    packets = [said(text) for text in (b"a", b"b", b"b", b"b")]
    assert handed(copies, packets) == [[WIDE, NARROW]] * 4


def test_what_matches_one_filter_alone_is_never_taken_for_a_copy() -> None:
    copies = subscribed(WIDE, OTHER)
    assert handed(copies, [said(b"a"), said(b"a")]) == [[WIDE], [WIDE]]
    assert handed(copies, [said(b"a", "nowhere")]) == [[]]


@pytest.mark.parametrize("order", [(WIDE, NARROW), (NARROW, WIDE)])
def test_a_retained_message_comes_to_each_filter_with_its_own_subscription(
    order: tuple[str, str],
) -> None:
    first, second = order
    copies = subscribed(first)
    assert copies.filters(said(b"kept", retained=True)) == [first]
    copies.ask(second)
    assert copies.filters(said(b"kept", "hall/4/log", retained=True)) == [first]


def test_a_refused_filter_is_given_nothing_and_expects_no_copy() -> None:
    copies = subscribed(WIDE)
    copies.ask(NARROW)
    copies.drop(NARROW)
    assert handed(copies, [said(b"a"), said(b"a")]) == [[WIDE], [WIDE]]


def test_a_filter_that_the_broker_did_not_yet_take_expects_no_copy() -> None:
    copies = subscribed(WIDE)
    copies.ask(NARROW)
    assert handed(copies, [said(b"a"), said(b"a")]) == [[WIDE, NARROW]] * 2
