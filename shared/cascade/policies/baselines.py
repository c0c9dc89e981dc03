"""Policies that do not look at the prompt.

``random`` is ColServe's; ``keep`` and ``pass`` make EndServe, EdgeServe and CloudServe.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, ClassVar

from msgspec import Meta

from shared.cascade.policies.base import Routing
from shared.settings.base import Closed

if TYPE_CHECKING:
    from shared.cascade.policies.base import Feedback, Observation, PolicyContext


class Random(Closed, frozen=True, kw_only=True, tag_field="kind", tag="random"):
    """Escalate a share of the prompts, drawn by chance."""

    share: Annotated[float, Meta(ge=0, le=1, description="share of prompts to escalate")] = 0.3


class KeepAll(Closed, frozen=True, kw_only=True, tag_field="kind", tag="keep"):
    """Answer everything here."""


class PassAll(Closed, frozen=True, kw_only=True, tag_field="kind", tag="pass"):
    """Send everything up."""

    up: Annotated[
        int, Meta(ge=1, le=100, description="how many tiers up; past those that there are: top")
    ] = 1


class RandomPolicy:
    """Escalates by the toss of a biased coin; the hop shows the coin's bias as threshold."""

    learns: ClassVar = False

    def __init__(self, settings: Random, context: PolicyContext) -> None:
        self._share = settings.share
        self._draw = context.draw

    def decide(self, seen: Observation) -> Routing:
        """Toss."""
        del seen
        return Routing(int(self._draw.random() < self._share), self._share)

    def learn(self, seen: Observation, sent: Routing, returned: Feedback) -> None:
        """Learn nothing."""

    def report(self) -> dict[str, float]:
        """Return nothing."""
        return {}


class ConstantPolicy:
    """Sends everything the same way; the threshold shown is the one that would do it."""

    learns: ClassVar = False

    def __init__(self, settings: KeepAll | PassAll, context: PolicyContext) -> None:
        del context
        up = settings.up if isinstance(settings, PassAll) else 0
        self._verdict = Routing(up, 1.0 if up else 0.0)

    def decide(self, seen: Observation) -> Routing:
        """Return what never changes."""
        del seen
        return self._verdict

    def learn(self, seen: Observation, sent: Routing, returned: Feedback) -> None:
        """Learn nothing."""

    def report(self) -> dict[str, float]:
        """Return nothing."""
        return {}
