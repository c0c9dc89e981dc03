"""Whether a model does worse than the one before, as answers from above tell: pure.

Of the prompts that go up, the edge's own answer is compared with the one that comes back. They are
the unsure ones, so the share that agrees says little by itself; before and after an exchange the
policy sends up about the same share, and the two can be compared.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Final, Literal, NamedTuple

if TYPE_CHECKING:
    from edge_agent.nights.settings import NightSettings

_LESS: Final = 0.02
_ONE_SIDED: Final = 1.645
_ENOUGH_BEFORE: Final = 20


class AgreedAbove(NamedTuple):
    """How many answers were compared, and how many were those from above."""

    compared: float = 0
    same: float = 0

    def note(self, *, same: bool, most: int = 0) -> AgreedAbove:
        """Return it with one more; above ``most`` of them the earlier ones fade (0: never)."""
        left = min(1.0, (most - 1) / self.compared) if most and self.compared else 1.0
        return AgreedAbove(self.compared * left + 1, self.same * left + same)


Judgement = Literal["wait", "keep", "take back"]


def judge(
    settings: NightSettings, before: AgreedAbove, after: AgreedAbove, watched_s: float
) -> Judgement:
    """Return what is to become of the new model.

    It is taken back when even the upper bound (95 %, one-sided) of its agreement lies two points
    below that of the model before; it is kept after enough prompts, or enough time.
    """
    if before.compared >= _ENOUGH_BEFORE and after.compared >= min(
        settings.watch_prompts, _ENOUGH_BEFORE
    ):
        share, gap = _share(after), _share(before) - _LESS
        if share + _spread(before, after) < gap:
            return "take back"
    if after.compared >= settings.watch_prompts or watched_s >= settings.watch_s:
        return "keep"
    return "wait"


def _share(agreement: AgreedAbove) -> float:
    return agreement.same / agreement.compared


def _spread(one: AgreedAbove, other: AgreedAbove) -> float:
    """Return the half-width of the difference of two shares, each drawn one step to the middle."""
    variance = 0.0
    for count, same in (one, other):
        share = (same + 1) / (count + 2)
        variance += share * (1 - share) / count
    return _ONE_SIDED * math.sqrt(variance)
