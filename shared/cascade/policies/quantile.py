"""RecServe's rule: escalate what lies below the β-quantile of the recent confidences.

Source: RecServe, *Recursive Offloading for LLM Serving in Multi-tier Networks*.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal

import msgspec
from msgspec import Meta

from shared.cascade.policies.adapting import Learn
from shared.cascade.policies.base import Routing
from shared.cascade.threshold import QuantileWindow, WindowMemory, stand_ins
from shared.settings.base import Closed

if TYPE_CHECKING:
    from shared.cascade.policies.base import Feedback, Observation, PolicyContext


class Quantile(Closed, frozen=True, kw_only=True, tag_field="kind", tag="quantile"):
    """Escalate below the β-quantile of the window."""

    beta: Annotated[
        float, Meta(ge=0, le=1, description="quantile below which prompts are escalated")
    ] = 0.3
    window_prompts: Annotated[
        int, Meta(ge=1, le=10_000_000, description="confidences the window holds")
    ] = 10_000
    ties: Annotated[
        Literal["keep", "draw"],
        Meta(description="at the threshold itself: keep, as published, or draw to hold the rate"),
    ] = "keep"
    prior_prompts: Annotated[
        int,
        Meta(
            ge=0,
            le=100_000,
            description="prompts that the model's own quantiles stand in for in a new window; "
            "0: none, the published rule to the letter",
        ),
    ] = 20
    learn: Learn = False


class QuantilePolicy:
    """The published decision, and a tie-break for confidences that saturate.

    The window already contains the confidence that is held against its quantile, so as published
    the first prompt equals its own threshold and is kept. A window that begins with stand-ins
    (``prior_prompts`` of them, where the model's quantiles are known) holds the first prompt
    against those. With ``ties: draw`` a confidence that *equals* the threshold is escalated with
    the probability that brings the expected share to β: where many confidences are 0.9999…,
    "strictly below" escalates far less than β.
    """

    learns: ClassVar = False

    def __init__(self, settings: Quantile, context: PolicyContext) -> None:
        begin = stand_ins(context.expected, settings.prior_prompts)
        self.window = QuantileWindow(settings.beta, settings.window_prompts, begin)
        self._draw = context.draw if settings.ties == "draw" else None

    def decide(self, seen: Observation) -> Routing:
        """Append the confidence, then hold it against the quantile."""
        window, confidence = self.window, seen.confidence
        window.append(confidence)
        threshold = window.quantile()
        if confidence < threshold:
            return Routing(1, threshold)
        if confidence == threshold and self._draw is not None:
            below, equal = window.below(threshold), window.equal(threshold)
            missing = window.beta * len(window) - below
            if self._draw.random() * equal < missing:
                return Routing(1, threshold)
        return Routing(0, threshold)

    def learn(self, seen: Observation, sent: Routing, returned: Feedback) -> None:
        """Learn nothing: the confidences alone decide."""

    def report(self) -> dict[str, float]:
        """Return the share that is to be escalated."""
        return {"beta_ratio": self.window.beta}

    def remember(self, now_s: float) -> WindowMemory:
        """Return the window."""
        del now_s
        return self.window.remember()

    def recall(self, memory: Any, at_s: float) -> None:
        """Take up a window."""
        del at_s
        self.window.recall(msgspec.convert(memory, WindowMemory))
