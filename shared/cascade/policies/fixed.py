"""CasServe's rule: a constant threshold. The yardstick for what learning it is worth."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, ClassVar

from msgspec import Meta

from shared.cascade.policies.base import Routing
from shared.settings.base import Closed

if TYPE_CHECKING:
    from shared.cascade.policies.base import Feedback, Observation, PolicyContext


class Fixed(Closed, frozen=True, kw_only=True, tag_field="kind", tag="fixed"):
    """Escalate below a constant."""

    threshold: Annotated[float, Meta(ge=0, le=1, description="confidence to keep a prompt at")]


class FixedPolicy:
    """Keeps at or above the threshold, whatever the traffic does."""

    learns: ClassVar = False

    def __init__(self, settings: Fixed, context: PolicyContext) -> None:
        del context
        self._threshold = settings.threshold

    def decide(self, seen: Observation) -> Routing:
        """Compare."""
        return Routing(int(seen.confidence < self._threshold), self._threshold)

    def learn(self, seen: Observation, sent: Routing, returned: Feedback) -> None:
        """Learn nothing."""

    def report(self) -> dict[str, float]:
        """Return nothing: the threshold of each verdict says it all."""
        return {}
