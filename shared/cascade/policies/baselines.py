"""Policies that do not look at the prompt.

``random`` is ColServe's; ``keep`` and ``pass`` make EndServe, EdgeServe and CloudServe.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

from msgspec import Meta

from shared.cascade.policies.base import Closed, Verdict

if TYPE_CHECKING:
    import random

    from shared.cascade.policies.base import Returned, Seen


class Random(Closed, frozen=True, kw_only=True, tag="random"):
    """Escalate a share of the prompts, drawn by chance."""

    share: Annotated[float, Meta(ge=0, le=1, description="share of prompts to escalate")] = 0.3


class Keep(Closed, frozen=True, kw_only=True, tag="keep"):
    """Answer everything here."""


class Pass(Closed, frozen=True, kw_only=True, tag="pass"):
    """Send everything up."""

    up: Annotated[
        int, Meta(ge=1, le=100, description="how many tiers up; past those that there are: top")
    ] = 1


class RandomPolicy:
    """Escalates by the toss of a biased coin; the hop shows the coin's bias as threshold."""

    def __init__(self, settings: Random, draw: random.Random) -> None:
        self._share = settings.share
        self._draw = draw

    def decide(self, seen: Seen) -> Verdict:
        """Toss."""
        del seen
        return Verdict(int(self._draw.random() < self._share), self._share)

    def learn(self, seen: Seen, sent: Verdict, returned: Returned) -> None:
        """Learn nothing."""

    def report(self) -> dict[str, float]:
        """Return nothing."""
        return {}


class ConstantPolicy:
    """Sends everything the same way; the threshold shown is the one that would do it."""

    def __init__(self, settings: Keep | Pass) -> None:
        up = settings.up if isinstance(settings, Pass) else 0
        self._verdict = Verdict(up, 1.0 if up else 0.0)

    def decide(self, seen: Seen) -> Verdict:
        """Return what never changes."""
        del seen
        return self._verdict

    def learn(self, seen: Seen, sent: Verdict, returned: Returned) -> None:
        """Learn nothing."""

    def report(self) -> dict[str, float]:
        """Return nothing."""
        return {}
