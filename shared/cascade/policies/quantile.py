"""RecServe's rule: escalate what lies below the β-quantile of the recent confidences.

Source: RecServe, *Recursive Offloading for LLM Serving in Multi-tier Networks*.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Literal

from msgspec import Meta

from shared.cascade.policies.base import Routing
from shared.cascade.threshold import QuantileWindow
from shared.settings.base import Closed

if TYPE_CHECKING:
    import random

    from shared.cascade.policies.base import Feedback, Observation


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


class QuantilePolicy:
    """The published decision, and a tie-break for confidences that saturate.

    The window already contains the confidence that is held against its quantile, so the first
    prompt equals its own threshold and is kept. With ``ties: draw`` a confidence that *equals* the
    threshold is escalated with the probability that brings the expected share to β: where many
    confidences are 0.9999…, "strictly below" escalates far less than β.
    """

    def __init__(self, settings: Quantile, draw: random.Random) -> None:
        self._window = QuantileWindow(settings.beta, settings.window_prompts)
        self._draw = draw if settings.ties == "draw" else None

    def decide(self, seen: Observation) -> Routing:
        """Append the confidence, then hold it against the quantile."""
        window, confidence = self._window, seen.confidence
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
        return {"beta_ratio": self._window.beta}
