"""Answers that come in any order, handed on in the order of what was asked."""

from __future__ import annotations

import asyncio
from collections import deque
from itertools import takewhile
from typing import TYPE_CHECKING, Any, Generic, TypeVar

if TYPE_CHECKING:
    from collections.abc import Hashable

_Place = TypeVar("_Place", bound="Hashable")


class InOrder(Generic[_Place]):
    """What was asked and not yet kept; ``room`` answers may wait for one before them."""

    def __init__(self, room: int) -> None:
        self._room = room
        self._asked: deque[_Place] = deque()
        self._answers: dict[_Place, dict[str, Any]] = {}
        self._changed = asyncio.Condition()
        self._ended = False

    def ask(self, place: _Place) -> None:
        """Note that something was asked, after everything before it."""
        self._asked.append(place)

    async def end(self) -> None:
        """Note that nothing more will be asked."""
        async with self._changed:
            self._ended = True
            self._changed.notify_all()

    async def put(self, place: _Place, answer: dict[str, Any]) -> None:
        """Hand in an answer; return when it does not wait in too long a row."""
        async with self._changed:
            self._answers[place] = answer
            self._changed.notify_all()
            await self._changed.wait_for(
                lambda: len(self._answers) <= self._room or place not in self._answers
            )

    async def ready(self) -> list[tuple[_Place, dict[str, Any]]]:
        """Return the answers whose turn it is, once there are any; none at the end of all.

        They stay until they are ``kept``.
        """
        async with self._changed:
            await self._changed.wait_for(self._can_go_on)
            whole = takewhile(self._answers.__contains__, self._asked)
            return [(place, self._answers[place]) for place in whole]

    async def kept(self, answers: int) -> None:
        """Let go of so many of the first answers: they are where they belong."""
        async with self._changed:
            for _ in range(answers):
                del self._answers[self._asked.popleft()]
            self._changed.notify_all()

    def _can_go_on(self) -> bool:
        return self._asked[0] in self._answers if self._asked else self._ended
