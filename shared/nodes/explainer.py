"""Remembers the last prompts that a device has answered, and explains them when a centre asks."""

from __future__ import annotations

import hashlib
from collections import deque
from typing import TYPE_CHECKING, Literal, NamedTuple

from shared.messages import Failure
from shared.tasks import to_line
from shared.wire.control import (
    EXPLAINED,
    TOLD_CHARACTERS,
    Explained,
    ExplainedHop,
    ExplainedPrompt,
)

if TYPE_CHECKING:
    from shared.messages import Prompt, Result

_REASON_CHARACTERS = 200


class AnsweredPrompt(NamedTuple):
    """A prompt with its result, and how long its asker waited."""

    prompt: Prompt
    result: Result
    waited_s: float


class PromptExplainer:
    """The last prompts that nobody has been told of yet; older ones go."""

    def __init__(self, tells: Literal["hashes", "texts", "nothing"]) -> None:
        self._tells = tells
        self._answered: deque[AnsweredPrompt] = deque(maxlen=EXPLAINED)

    def note(self, prompt: Prompt, result: Result, waited_s: float) -> None:
        """Remember a prompt; what there is to say of it is worked out only when it is told."""
        if self._tells != "nothing":
            self._answered.append(AnsweredPrompt(prompt, result, waited_s))

    def take(self, most: int) -> Explained | None:
        """Return the last prompts, ``most`` of them, and forget all; None where there are none."""
        told = [*self._answered][-most:] if most else []
        self._answered.clear()
        if not told:
            return None
        return Explained(prompts=tuple(self._explain(each) for each in told))

    def _explain(self, answered: AnsweredPrompt) -> ExplainedPrompt:
        prompt, result, waited_s = answered
        outcome = result.outcome
        texts = self._tells == "texts"
        return ExplainedPrompt(
            id=str(prompt.id),
            task=prompt.task,
            sha256=hashlib.sha256(prompt.text.encode("utf-8", "replace")).hexdigest(),
            size_bytes=prompt.size_bytes,
            waited_ms=round(1000 * waited_s, 2),
            hops=tuple(
                ExplainedHop(
                    tier=hop.tier,
                    agent=hop.agent,
                    confidence=round(hop.confidence, 6),
                    threshold=round(hop.threshold, 6),
                    elapsed_us=hop.elapsed_us,
                )
                for hop in result.hops
            ),
            degraded=result.degraded[:_REASON_CHARACTERS],
            failure=outcome.code if isinstance(outcome, Failure) else "",
            text=prompt.text[:TOLD_CHARACTERS] if texts else "",
            answer=_answer(result)[:TOLD_CHARACTERS] if texts else "",
        )


def _answer(result: Result) -> str:
    """Return the answer in one line; empty where there is none."""
    return "" if isinstance(result.outcome, Failure) else to_line(result.outcome)
