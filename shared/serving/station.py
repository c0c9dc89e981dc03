"""A station: a tier joined to a model and a bus. The one loop of device, edge and cloud.

``settle`` scores a prompt and decides (``judge``), with every way that can end; the ``dispatcher``
sends what is escalated to a tier above.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from shared.cascade.escalated import Escalation, failed
from shared.cascade.judging import judge, learn
from shared.errors import Expired, InvalidPrompt, ModelFailed, PromptError, UnknownTask
from shared.telemetry.log import get_logger

if TYPE_CHECKING:
    from shared.cascade.judging import Judged
    from shared.cascade.tier import Tier
    from shared.messages import Prompt, Result
    from shared.serving.batcher import Batcher
    from shared.serving.dispatcher import Dispatcher
    from shared.telemetry.metrics import Metrics

_log = get_logger()


class Station:
    """Judges prompts for one agent and sends on those that its tier escalates."""

    def __init__(
        self,
        agent: str,
        tier: Tier,
        batcher: Batcher,
        metrics: Metrics,
        *,
        prompt_bytes: int,
        dispatcher: Dispatcher | None = None,
    ) -> None:
        if bool(tier.above) != (dispatcher is not None):
            raise ValueError("a tier with tiers above needs a dispatcher, and only such a tier")
        self.agent = agent
        self.tier = tier
        self.batcher = batcher
        self.metrics = metrics
        self.dispatcher = dispatcher
        self._prompt_bytes = prompt_bytes

    async def settle(self, prompt: Prompt) -> Result | Escalation:
        """Return a result, or the prompt as it is to be sent to a tier above.

        Nothing is raised for a prompt: whatever goes wrong becomes a result that says so. Whoever
        asked takes note of an ``Escalation`` before it is sent: the answer may overtake the
        broker's word that it has the prompt.
        """
        arrived_s = time.monotonic()
        try:
            judged = await self.judge(prompt, arrived_s)
        except PromptError as error:
            return self._failed(prompt, error)
        except Exception as error:  # noqa: BLE001 - a prompt always gets a result
            _log.exception("a prompt broke the station", id=str(prompt.id), tier=self.tier.name)
            return self._failed(prompt, ModelFailed(f"{type(error).__name__}: {error}"))
        if not judged.verdict.up:
            return judged.own
        return Escalation(*judged)

    async def judge(self, prompt: Prompt, arrived_s: float) -> Judged:
        """Score the prompt and decide; raises ``PromptError`` when there is no answer to decide on.

        ``arrived_s`` is when it came in, on the monotonic clock.
        """
        self._check(prompt, arrived_s)
        scored = await self.batcher.score(
            prompt.text, prompt.deadline_s, prompt.priority, prompt.origin
        )
        now_s = time.monotonic()
        judged = judge(
            self.tier,
            self.agent,
            prompt,
            scored.answer,
            scored.confidence,
            arrived_s=arrived_s,
            now_s=now_s,
        )
        hop, verdict = judged.prompt.hops[-1], judged.verdict
        outcome = "escalated" if verdict.up else "kept"
        self._count(prompt, outcome)
        self.metrics.seconds.labels(self.tier.name).observe(now_s - arrived_s)
        self.metrics.threshold.labels(self.tier.name, prompt.task).set(verdict.threshold)
        for figure, value in self.tier.report(prompt.task).items():
            self.metrics.policy.labels(self.tier.name, prompt.task, figure).set(value)
        _log.info(
            "prompt judged",
            id=str(prompt.id),
            tier=hop.tier,
            agent=hop.agent,
            confidence=round(hop.confidence, 6),
            threshold=round(hop.threshold, 6),
            outcome=outcome,
            elapsed_us=hop.elapsed_us,
        )
        return judged

    def learn(self, escalated: Escalation, result: Result) -> None:
        """Tell the policy what became of a prompt that it sent up."""
        learn(self.tier, escalated, result)

    def _check(self, prompt: Prompt, now_s: float) -> None:
        """Refuse what no model should see."""
        if prompt.task not in self.batcher.model.tasks:
            served = ", ".join(sorted(self.batcher.model.tasks))
            raise UnknownTask(f"{self.agent} answers {served}, not {prompt.task!r}")
        if prompt.deadline_s <= now_s:
            raise Expired("the prompt's time ran out before it was judged")
        check_text(prompt.text, self._prompt_bytes)

    def _failed(self, prompt: Prompt, error: PromptError) -> Result:
        self._count(prompt, "failed")
        _log.warning("prompt failed", id=str(prompt.id), tier=self.tier.name, reason=str(error))
        return failed(prompt, error)

    def _count(self, prompt: Prompt, outcome: str) -> None:
        self.metrics.prompts.labels(self.tier.name, prompt.task, outcome).inc()


def check_text(text: object, limit_bytes: int) -> str:
    """Return the text of a prompt if a model may see it; raises ``InvalidPrompt``."""
    if not isinstance(text, str):
        raise InvalidPrompt(f"a prompt is text, not {type(text).__name__}")
    if not text.strip():
        raise InvalidPrompt("the prompt is empty")
    try:
        size = len(text) if text.isascii() else len(text.encode())
    except UnicodeEncodeError:
        raise InvalidPrompt("the prompt has lone surrogates and is no UTF-8 text") from None
    if size > limit_bytes:
        raise InvalidPrompt(f"the prompt has {size} bytes, more than the limit of {limit_bytes}")
    return text
