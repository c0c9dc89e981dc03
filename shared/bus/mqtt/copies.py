"""Which subscriptions of one connection a packet is for, when filters overlap. Pure.

A message may match several filters of ours. MQTT 5 brokers say with an identifier whose copy a
packet is. Others bring one copy for each filter, one right after another, or one copy for all;
which of the two is learned from what comes.
"""

from __future__ import annotations

import itertools
from collections import Counter
from typing import TYPE_CHECKING, Final, NamedTuple

from shared.wire.filters import matches, split_pool

if TYPE_CHECKING:
    from collections.abc import Sequence

_REMEMBERED: Final = 10_000


class Packet(NamedTuple):
    """What tells one message from another."""

    topic: str
    payload: bytes
    retained: bool


class Copies:
    """The filters of one connection; each is given every message that matches it once."""

    def __init__(self) -> None:
        self._asked: dict[str, int] = {}
        self._identifiers = itertools.count(1)
        self.agreed: set[str] = set()
        """The filters that the broker took."""
        self._last: Packet | None = None
        self._due = 0
        self._one_for_all = False
        self._retained: Counter[Packet] = Counter()

    def ask(self, topics: str) -> int:
        """Note that a filter is being subscribed to; return its identifier, 1 or more."""
        return self._asked.setdefault(topics, next(self._identifiers))

    def agree(self, topics: str) -> None:
        """Note that the broker took a filter."""
        if topics in self._asked:  # nobody may want it any more
            self.agreed.add(topics)

    def drop(self, topics: str) -> None:
        """Note that the broker did not, or that nobody wants it any more."""
        self._asked.pop(topics, None)
        self.agreed.discard(topics)

    def filters(self, packet: Packet, identifiers: Sequence[int] = ()) -> list[str]:
        """Return the filters that a packet is for; none if it is a copy of what they had."""
        if identifiers:
            return [each for each, known in self._asked.items() if known in identifiers]
        found = [each for each in self._asked if matches(split_pool(each)[1], packet.topic)]
        if len(found) < 2:  # noqa: PLR2004 - nothing overlaps
            return found
        return self._in_turn(packet, found) if packet.retained else self._first_copy(packet, found)

    def _in_turn(self, packet: Packet, found: list[str]) -> list[str]:
        """Give a retained message to the next filter: each subscription brings it once."""
        if len(self._retained) >= _REMEMBERED:
            self._retained.clear()
        self._retained[packet] += 1
        return [found[(self._retained[packet] - 1) % len(found)]]

    def _first_copy(self, packet: Packet, found: list[str]) -> list[str]:
        """Give the first copy to all, and leave out those that follow it."""
        if self._due and packet == self._last:
            self._due -= 1
            return []
        self._one_for_all |= self._due > 0  # another message came where a copy was due
        agreed = len(self.agreed.intersection(found))
        self._last, self._due = packet, 0 if self._one_for_all else max(agreed - 1, 0)
        return found
