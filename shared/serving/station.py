"""A station: a tier joined to a model and a bus. The one loop of device, edge and cloud.

``process`` has a prompt solved and decides, with every way that can end; the ``dispatcher`` sends
what is escalated to a tier above.
"""

from __future__ import annotations

import time
from functools import cache, partial
from typing import TYPE_CHECKING

from shared.errors import Expired, InvalidPrompt, ModelFailed, PromptError, ServerAway, UnknownTask
from shared.messages import Failure, Result
from shared.protocol.evidence import Blame, Credit, Doubt, Learn, Trust
from shared.supervision import logged_if_broken
from shared.tasks import TASKS, agrees, check, size_of
from shared.tasks.generate import Completion
from shared.telemetry.described import drop
from shared.telemetry.log import get_logger

if TYPE_CHECKING:
    from collections.abc import Sequence

    from shared.cascade.policies import PolicySettings
    from shared.cascade.tier import Escalation, Tier
    from shared.messages import Prompt
    from shared.protocol.evidence import Evidence
    from shared.serving.dispatcher import Dispatcher
    from shared.serving.solver import Observer, Solver, Witness
    from shared.telemetry.metrics import Metrics

_log = get_logger()


class Station:
    """Decides on prompts for one agent; its dispatcher sends on those that its tier escalates.

    ``observers`` hear of every prompt that went up and came back, ``witnesses`` of what is decided
    of any.
    """

    def __init__(
        self,
        agent: str,
        tier: Tier,
        solver: Solver,
        metrics: Metrics,
        *,
        prompt_bytes: int,
        dispatcher: Dispatcher | None = None,
        observers: Sequence[Observer] = (),
        witnesses: Sequence[Witness] = (),
    ) -> None:
        if bool(tier.above) != (dispatcher is not None):
            raise ValueError("a tier with tiers above needs a dispatcher, and only such a tier")
        self.agent = agent
        self.tier = tier
        self.solver = solver
        self.metrics = metrics
        self.dispatcher = dispatcher
        self.model = ("", "")
        """Name and version of the model that answers here now."""
        self.compares = False
        """Whether to be told what came of every prompt that went up, whatever the policy."""
        self._prompt_bytes = prompt_bytes
        self._observers = tuple(observers)
        self._witnesses = tuple(witnesses)
        # Finding a series by its labels costs as much as deciding: each is found once.
        self._outcomes = cache(partial(metrics.prompts.labels, tier.name))
        self._seconds = cache(partial(metrics.seconds.labels, tier.name))
        self._thresholds = cache(partial(metrics.threshold.labels, tier.name))
        self._figures = cache(partial(metrics.policy.labels, tier.name))
        self._tokens = cache(partial(metrics.tokens.labels, tier.name))

    async def process(self, prompt: Prompt) -> Result | Escalation:
        """Return a result, or the prompt as it is to be sent to a tier above.

        Nothing is raised for a prompt: whatever goes wrong becomes a result that says so. Whoever
        asked takes note of an ``Escalation`` before it is sent: the answer may overtake the
        broker's word that it has the prompt.
        """
        decided = await self._judge(prompt)
        for witness in self._witnesses:
            with logged_if_broken("what was decided", id=str(prompt.id)):
                witness(prompt, decided)
        return decided

    async def _judge(self, prompt: Prompt) -> Result | Escalation:
        arrived_s = time.monotonic()
        try:
            self._check(prompt, arrived_s)
            scored = await self.solver.solve(
                prompt.request,
                deadline_s=prompt.deadline_s,
                priority=prompt.priority,
                origin=prompt.origin,
            )
            now_s = time.monotonic()
            decided = self.tier.decide(
                self.agent,
                prompt,
                scored.signed(*self.model),
                arrived_s=arrived_s,
                now_s=now_s,
                copy=self.compares or bool(self._observers),
            )
            self._report(prompt, decided, now_s - arrived_s, remembered=scored.way == "memory")
            if isinstance(scored.answer, Completion):
                self._tokens("read").inc(scored.answer.tokens_in)
                self._tokens("written").inc(scored.answer.tokens_out)
        except ServerAway as away:
            if not (self.tier.above and prompt.origin == self.agent):
                return self._failed(prompt, away)  # it is declined, and goes to another of our tier
            return self._passed_on(prompt, away, arrived_s)
        except PromptError as error:
            return self._failed(prompt, error)
        except Exception as error:  # noqa: BLE001 - a prompt always gets a result
            _log.exception("a prompt broke the station", id=str(prompt.id), tier=self.tier.name)
            return self._failed(prompt, ModelFailed(f"{type(error).__name__}: {error}"))
        return decided

    def heed(self, evidence: Evidence) -> None:
        """Take in what word from above tells of a prompt, or of an agent there."""
        match evidence:
            case Learn(escalation, result):
                self.hear(escalation, result)
            case Credit(agents):
                for agent in agents:
                    self.above.succeeded(agent)
            case Trust(agent):
                self.above.works(agent)
            case Doubt(agent, stopped):
                self.above.doubt(agent, stopped=stopped)
            case Blame(agent):
                self.above.failed(agent)

    @property
    def above(self) -> Dispatcher:
        """The way up; only a tier with tiers above has one."""
        assert self.dispatcher is not None, "only a tier with tiers above sends up"  # noqa: S101
        return self.dispatcher

    def hear(self, escalation: Escalation, result: Result) -> None:
        """Take in what became of a prompt that was sent up: the policy learns, observers hear."""
        self.tier.learn(escalation, result)
        answered = not isinstance(result.outcome, Failure) and result.tier in self.tier.above
        if answered and escalation.scored and not escalation.remembered:
            ours, theirs = escalation.local_result.outcome, result.outcome
            agreed = (
                not isinstance(ours, Failure)
                and not isinstance(theirs, Failure)
                and agrees(ours, theirs)
            )
            labels = (self.tier.name, escalation.prompt.task, "yes" if agreed else "no")
            self.metrics.compared.labels(*labels).inc()
        for observe in self._observers:
            observe(escalation, result)

    def go_by(self, policy: PolicySettings) -> None:
        """Decide by other settings of the policy from now on; figures of the one before go."""
        shown = {task: set(self.tier.report(task)) for task in TASKS}
        self.tier.go_by(policy, time.monotonic())
        for task, figures in shown.items():
            for figure in figures - set(self.tier.report(task)):
                drop(self.metrics.policy, self.tier.name, task, figure)
        self._figures.cache_clear()

    def _check(self, prompt: Prompt, now_s: float) -> None:
        """Refuse what no model should see."""
        if prompt.task not in TASKS:
            known, named = ", ".join(TASKS), str(prompt.task)[:64]
            raise UnknownTask(f"no task is called {named!r}; known: {known}")
        if prompt.task not in self.solver.tasks:
            served = ", ".join(sorted(self.solver.tasks))
            raise UnknownTask(f"{self.agent} answers {served}, not {prompt.task!r}")
        if prompt.deadline_s <= now_s:
            raise Expired("the prompt's time ran out before it was judged")
        check_text(prompt.text, self._prompt_bytes)
        if prompt.options:
            check(prompt.task, prompt.options)
            self._check_size(size_of(prompt.text, prompt.options))

    def _check_size(self, size: int) -> None:
        if size > self._prompt_bytes:
            limit = self._prompt_bytes
            raise InvalidPrompt(
                f"the prompt and its options have {size} bytes, more than the limit of {limit}"
            )

    def _report(
        self,
        prompt: Prompt,
        decided: Result | Escalation,
        elapsed_s: float,
        *,
        remembered: bool,
    ) -> None:
        if isinstance(decided, Result):
            outcome, hop = "kept", decided.hops[-1]
        else:
            outcome, hop = "escalated", decided.prompt.hops[-1]
        self._count(prompt, outcome)
        self._seconds().observe(elapsed_s)
        if not remembered:
            self._thresholds(prompt.task).set(hop.threshold)
        for figure, value in self.tier.report(prompt.task).items():
            self._figures(prompt.task, figure).set(value)
        _log.info(
            "prompt judged",
            id=str(prompt.id),
            tier=hop.tier,
            agent=hop.agent,
            confidence=round(hop.confidence, 6),
            confidence_kind=hop.confidence_kind,
            threshold=round(hop.threshold, 6),
            outcome=outcome,
            elapsed_us=hop.elapsed_us,
            **({"source": str(hop.source)} if hop.source and hop.source.entries else {}),
        )

    def _passed_on(self, prompt: Prompt, away: ServerAway, arrived_s: float) -> Escalation:
        """Return a prompt of our own as it goes up though nobody here could look at it."""
        self._count(prompt, "escalated")
        _log.warning("prompt passed on", id=str(prompt.id), tier=self.tier.name, reason=str(away))
        now_s = time.monotonic()
        return self.tier.pass_on(self.agent, prompt, away, arrived_s=arrived_s, now_s=now_s)

    def _failed(self, prompt: Prompt, error: PromptError) -> Result:
        self._count(prompt, "failed")
        _log.warning("prompt failed", id=str(prompt.id), tier=self.tier.name, reason=str(error))
        return Result.failure(prompt, error)

    def _count(self, prompt: Prompt, outcome: str) -> None:
        if prompt.task in TASKS:  # what people make up is no label
            self._outcomes(prompt.task, outcome).inc()


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
