"""How often a remembered answer is wrong, as far as checks tell: pure."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, NamedTuple

from shared.telemetry.intervals import wilson

if TYPE_CHECKING:
    from collections.abc import Mapping


class WrongShare(NamedTuple):
    """A share with its 95 % interval."""

    mean: float
    low: float
    high: float


def wrong_share(right: int, wrong: int) -> WrongShare:
    """Return the share of wrong ones with its interval by Wilson; anything while none is known."""
    count = right + wrong
    if not count:
        return WrongShare(math.nan, 0.0, 1.0)
    return WrongShare(wrong / count, *wilson(wrong, count))


class Checks:
    """Remembered answers that also went up, and whether the tier above said the same.

    Which ones go up is drawn by lot, so their share is that of all. They are counted by the way in
    which the memory was used.
    """

    def __init__(self, counts: Mapping[str, tuple[int, int]] | None = None) -> None:
        self.counts = dict(counts or {})
        """Right and wrong ones, by way."""

    def note(self, way: str, *, right: bool) -> None:
        """Count one."""
        before = self.counts.get(way, (0, 0))
        # A new mapping: whoever shows the shares may be in another thread.
        self.counts = self.counts | {way: (before[0] + right, before[1] + (not right))}

    @property
    def right(self) -> int:
        """How many said the same."""
        return sum(right for right, _ in self.counts.values())

    @property
    def wrong(self) -> int:
        """How many said another thing."""
        return sum(wrong for _, wrong in self.counts.values())

    @property
    def wrong_share(self) -> WrongShare:
        """The share of wrong ones, over all ways."""
        return wrong_share(self.right, self.wrong)
