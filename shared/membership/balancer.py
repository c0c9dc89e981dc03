"""Which agent above gets a prompt: of the wanted tier if it has a free one, else of another.

Pure: it is told the time and draws from the generator it is given. It keeps what statuses tell in
``shared.membership.roster``, and whether they are heard at all in ``shared.membership.listening``;
publishing is the business of ``shared.serving.dispatcher``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

import msgspec

from shared.membership.listening import Listening
from shared.membership.roster import Roster
from shared.membership.status import name_labels
from shared.messages import MODEL_CHARACTERS, Provenance
from shared.tasks import TASKS
from shared.tasks.classify import Label

if TYPE_CHECKING:
    import random
    from collections.abc import Collection, Sequence

    from shared.membership.status import Status
    from shared.messages import Failure, Hop, Prompt, Result
    from shared.tasks import Answer, Task

_OF_TOKENS: Final = ("perplexity", "mean", "least")


class Pick(NamedTuple):
    """An agent, the roster of its tier, and whose topic its prompts go on.

    The ``address`` is the agent's own, or that of the pool it is in. A ``trial`` shows whether an
    agent that was passed over works again: whoever sends it has to hear of its end.
    """

    roster: Roster
    agent: str
    address: str
    trial: bool = False

    @property
    def pooled(self) -> bool:
        """Whether any member of a pool may get the prompt, not this one."""
        return self.address != self.agent

    def hand(self, prompt: Prompt) -> Prompt:
        """Return the prompt as it goes to this agent, or to any of its pool."""
        sourced = prompt.sourced and self.roster.reads_sources(None if self.pooled else self.agent)
        if (sourced, self.trial) == (prompt.sourced, False):
            return prompt
        return msgspec.structs.replace(prompt, copy=prompt.copy or self.trial, sourced=sourced)


class LoadBalancer:
    """The agents of all tiers above one agent, nearest tier first."""

    def __init__(
        self,
        above: Sequence[str],
        draw: random.Random,
        *,
        pool: str = "",
        labels: str = "",
        tasks: Collection[Task] = TASKS,
        listening: Listening | None = None,
    ) -> None:
        """Choose among the agents of the tiers named; those of the nearest may form a ``pool``.

        ``tasks`` and ``labels`` are those of the model below, the latter as
        ``shared.membership.status.name_labels`` writes them. Statuses are heard always, unless
        ``listening`` says otherwise.
        """
        self.listening = listening or Listening()
        self.rosters = [Roster(tier, labels, tasks) for tier in above]
        self._draw = draw
        self._pool = pool

    def wake(self, now_s: float) -> bool:
        """Take note that a prompt goes up; return whether one has to begin to listen for it."""
        slept_s = self.listening.begin(now_s)
        if slept_s is None:
            return False
        for roster in self.rosters:
            roster.resume(slept_s)
        return True

    def rest(self, now_s: float) -> bool:
        """Return whether one may stop listening: somebody is there, and nothing needs to know."""
        anybody = any(roster.count_fit(now_s) for roster in self.rosters)
        return anybody and self.listening.end(now_s)

    def count_fit(self, roster: Roster, now_s: float) -> int:
        """Return how many living agents of a tier prompts can be sent to, as far as is known."""
        return roster.count_fit(self.listening.as_of(now_s))

    def hear(
        self,
        tier: str,
        agent: str,
        status: Status,
        now_s: float,
        *,
        clock_ms: int = 0,
        kept: bool = False,
    ) -> Roster | None:
        """Take in the status of an agent; return its roster if it has just become alive.

        ``clock_ms`` is what the wall clock says; the broker may have ``kept`` it for us.
        """
        for roster in self.rosters:
            if roster.tier == tier:
                alive = roster.hear(agent, status, now_s, clock_ms=clock_ms, kept=kept)
                return roster if alive else None
        return None

    def forget(self, tier: str, agent: str) -> None:
        """Drop an agent whose retained status was cleared."""
        for roster in self.rosters:
            if roster.tier == tier:
                roster.forget(agent)

    def choose(
        self,
        prompt: Prompt,
        up: int,
        now_s: float,
        *,
        to: str = "",
        tried: Collection[str] = (),
        again: bool = False,
    ) -> Pick | None:
        """Choose the agent ``to`` whom the prompt is to go, or else one ``up`` tiers above.

        A tier without a free agent is passed over for the next one up, then for those below it.
        Agents that were ``tried`` are left out; with ``again`` all get another chance once no other
        is left.
        """
        chosen = self._take(to, prompt, now_s) if to else None
        chosen = chosen or self._pick(prompt, up, tried, now_s)
        if chosen is None and again and tried:
            chosen = self._pick(prompt, up, (), now_s)
        self.listening.found(chosen)
        return chosen

    def doubt(self, agent: str, now_s: float, *, stopped: bool) -> Roster | None:
        """Prefer others to an agent for a while; return its roster if that opened its breaker.

        Behind a pool's address nobody knows whose failure it was.
        """
        opened = (
            roster
            for roster in self._known_by_name()
            if roster.doubt(agent, now_s, self._draw, stopped=stopped)
        )
        return next(opened, None)

    def failed(self, agent: str, now_s: float) -> Roster | None:
        """Count a failure against an agent; return its roster if that opened its breaker."""
        opened = (r for r in self._known_by_name() if r.failed(agent, now_s, self._draw))
        return next(opened, None)

    def model_of(self, agent: str) -> tuple[str, str]:
        """Return the model of an agent above and its bundle; both empty if they are not known."""
        told = (roster.status_of(agent) for roster in self.rosters)
        status = next((each for each in told if each is not None), None)
        return (status.model, status.bundle) if status is not None else ("", "")

    def models(self, task: Task, now_s: float) -> set[tuple[str, str]]:
        """Return the models that answer a task above, as far as is known, each with its bundle."""
        as_of_s = self.listening.as_of(now_s)
        return {self.model_of(a) for r in self.rosters for a in r.alive(task, as_of_s)}

    def name_confidences(self, result: Result) -> Result:
        """Return the result with what the confidence of each hop is, as its agent last said.

        Hops of agents that we do not listen to stay as they are.
        """
        hops = tuple(self._named(hop, result.outcome) for hop in result.hops)
        return msgspec.structs.replace(result, hops=hops)

    def works(self, agent: str, now_s: float) -> None:
        """Take an agent's word for it that it lives."""
        self.listening.use(now_s)
        for roster in self.rosters:
            roster.works(agent)

    def succeeded(self, agent: str, now_s: float) -> Roster | None:
        """Take note of an agent's answer; return its roster if that closed its breaker."""
        closed = (r for r in self._known_by_name() if r.succeeded(agent, now_s))
        return next(closed, None)

    def _named(self, hop: Hop, outcome: Answer | Failure) -> Hop:
        told = (r.confidence_kind(hop.agent) for r in self.rosters if r.tier == hop.tier)
        kind = next(told, hop.confidence_kind)
        source = hop.source or self._model_of(hop)
        if source is not None and source.way == "memory":
            kind = "remembered"
        if kind in _OF_TOKENS and isinstance(outcome, Label):
            kind = "max_probability"  # a language model's, of labels that it chose among
        return msgspec.structs.replace(hop, confidence_kind=kind, source=source)

    def _model_of(self, hop: Hop) -> Provenance | None:
        """Return the model of a hop above, as its agent last said; None where nobody knows it."""
        if not any(roster.tier == hop.tier for roster in self.rosters):
            return None
        model, version = self.model_of(hop.agent)
        return Provenance("model", model[:MODEL_CHARACTERS], version) if model else None

    def _take(self, agent: str, prompt: Prompt, now_s: float) -> Pick | None:
        for roster in self.rosters:
            if roster.take(agent, prompt.task, now_s, _named(prompt)) is not None:
                return self._chosen(roster, agent)
        return None

    def _pick(self, prompt: Prompt, up: int, tried: Collection[str], now_s: float) -> Pick | None:
        wanted = self.rosters[up - 1]
        rosters = (wanted, *self.rosters[up:], *reversed(self.rosters[: up - 1]))
        task, named = prompt.task, _named(prompt)
        for doubted in (False, True):
            for roster in rosters:
                agent = roster.pick(task, now_s, self._draw, tried, doubted=doubted, named=named)
                if agent is not None:
                    return self._chosen(roster, agent)
        return None

    def _chosen(self, roster: Roster, agent: str) -> Pick:
        nearest = roster is self.rosters[0]
        address = self._pool if self._pool and nearest else agent
        return Pick(roster, agent, address, roster.passes_over(agent))

    def _known_by_name(self) -> list[Roster]:
        return self.rosters[1:] if self._pool else self.rosters


def _named(prompt: Prompt) -> str:
    """Return the labels that a prompt brings along; empty if it brings none."""
    labels = prompt.options.get("labels") if prompt.task == "classify" else None
    return name_labels(labels) if labels else ""
