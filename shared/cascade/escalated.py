"""A prompt on its way up, with all that its tier needs to take it back or to learn from it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from shared.cascade.policies import Observation, Routing
from shared.messages import Failure, Prompt, Result

if TYPE_CHECKING:
    from shared.errors import PromptError


class Escalation(msgspec.Struct, frozen=True):
    """A prompt that goes up, and how it was judged."""

    prompt: Prompt
    own: Result
    seen: Observation
    verdict: Routing

    def fall_back(self, reason: str) -> Result:
        """Return our own answer, marked as second best."""
        return msgspec.structs.replace(self.own, degraded=reason)


def failed(prompt: Prompt, error: PromptError) -> Result:
    """Return the result that tells the origin why there is no answer."""
    return Result(prompt.id, Failure(error.code, str(error)), prompt.hops)
