"""Lets a policy go on from what the one before it has seen, when the settings change under way."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol, runtime_checkable

from shared.cascade.policies.adapting import AdaptingPolicy
from shared.cascade.policies.base import Remembering

if TYPE_CHECKING:
    from shared.cascade.policies.base import Policy
    from shared.cascade.threshold import QuantileWindow


@runtime_checkable
class Windowed(Protocol):
    """A policy that decides by a window of confidences."""

    window: QuantileWindow


def hand_over(before: Policy, after: Policy, now_s: float) -> None:
    """Give a fresh policy what the one before it remembers, as far as it is of use there.

    One of the same kind takes all of it; of a window that is smaller now it takes the newest. One
    of another kind takes the window of confidences, if both have one. Where only one of the two
    adapts its forecasts their confidences are different numbers, and nothing goes over.
    """
    if isinstance(before, AdaptingPolicy) != isinstance(after, AdaptingPolicy):
        return
    if isinstance(before, AdaptingPolicy) and isinstance(after, AdaptingPolicy):
        after.texts.recall(before.texts.remember())
        before, after = before.within, after.within
    same = type(before) is type(after)
    if same and isinstance(before, Remembering) and isinstance(after, Remembering):
        after.recall(before.remember(now_s), now_s)
    elif isinstance(before, Windowed) and isinstance(after, Windowed):
        after.window.recall(before.window.remember())
