"""Let any policy go by a forecast that learns, while it serves, of texts the head never saw."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any, ClassVar, TypeAlias

import msgspec
from msgspec import Meta

from shared.cascade.adaptation import Adaptation, AdaptationMemory
from shared.cascade.policies.base import Remembering

if TYPE_CHECKING:
    from shared.cascade.policies.base import Feedback, Observation, Policy, Routing

Learn: TypeAlias = Annotated[
    bool,
    Meta(
        description="adapt the forecasts of the bundle's head to the texts that are served, from "
        "what comes back from above"
    ),
]
"""The key of a policy that wraps it in an ``AdaptingPolicy``."""


class AdaptingMemory(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What was learned of texts, and what the policy within remembers."""

    texts: AdaptationMemory
    within: Any = None


class AdaptingPolicy:
    """Hands another policy adapted confidences, and learns of texts what comes back.

    An observation without a label passes as it is: there is nothing to foretell.
    """

    learns: ClassVar = True

    def __init__(self, within: Policy) -> None:
        self.within = within
        self.texts = Adaptation()

    def decide(self, seen: Observation) -> Routing:
        """Let the policy within decide by what is foretold of the label that was given."""
        if not seen.label:
            return self.within.decide(seen)
        chance = self.texts.foretell(seen.text, seen.label, seen.confidence).chance
        return self.within.decide(seen._replace(confidence=chance))._replace(confidence=chance)

    def learn(self, seen: Observation, sent: Routing, returned: Feedback) -> None:
        """Learn of the text, and tell the policy within what it had decided by."""
        if self.within.learns:
            self.within.learn(seen._replace(confidence=sent.held(seen)), sent, returned)
        if seen.label and returned.label:
            forecast = self.texts.foretell(seen.text, seen.label, seen.confidence)
            self.texts.learn(forecast, seen.label, returned.label)

    def report(self) -> dict[str, float]:
        """Return what the policy within believes, and how far the adapted forecasts are trusted."""
        return {**self.within.report(), "adaptation_trust_ratio": self.texts.trust}

    def remember(self, now_s: float) -> AdaptingMemory:
        """Return what was learned, and what the policy within remembers."""
        within = self.within
        inner = within.remember(now_s) if isinstance(within, Remembering) else None
        return AdaptingMemory(self.texts.remember(), inner)

    def recall(self, memory: Any, at_s: float) -> None:
        """Take both up."""
        read = msgspec.convert(memory, AdaptingMemory)
        if isinstance(self.within, Remembering):
            self.within.recall(read.within, at_s)
        self.texts.recall(read.texts)
