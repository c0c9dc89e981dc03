"""How often a remembered answer is wrong, as far as checks tell: pure."""

from __future__ import annotations

import math
from typing import Final, NamedTuple

_NINETY_FIVE: Final = 1.96


class WrongShare(NamedTuple):
    """A share with its 95 % interval."""

    mean: float
    low: float
    high: float


class Checks:
    """Remembered answers that also went up, and whether the tier above said the same.

    Which ones go up is drawn by lot, so their share is that of all.
    """

    def __init__(self) -> None:
        self.right = 0
        self.wrong = 0

    def note(self, *, right: bool) -> None:
        """Count one."""
        self.right += right
        self.wrong += not right

    @property
    def wrong_share(self) -> WrongShare:
        """The share of wrong ones with its interval by Wilson; anything while none is known."""
        count = self.right + self.wrong
        if not count:
            return WrongShare(math.nan, 0.0, 1.0)
        share, square = self.wrong / count, _NINETY_FIVE**2
        middle = (share + square / (2 * count)) / (1 + square / count)
        spread = math.sqrt(share * (1 - share) / count + square / (4 * count**2))
        half = _NINETY_FIVE * spread / (1 + square / count)
        return WrongShare(share, max(0.0, middle - half), min(1.0, middle + half))
