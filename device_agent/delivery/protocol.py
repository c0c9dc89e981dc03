"""The protocol core of a device: from accepting a prompt to its one result.

Pure. What happens comes in as a call with the time, and each call returns what is to be done; the
driver, ``device_agent.delivery.driver``, does it and reports back. A prompt goes one way::

    here ── answered here ───────────────────────────► Answer
      └─ escalated: Store ─ stored ─► above: Send, again and again
                                        └─ a result, or none in time: Resolve ─ resolved ─► Answer

Only what is stored is sent, and only what is resolved is answered, so that a device that dies at
any point goes on where it was. Every state has the prompt's deadline: what should have moved it on
and did not, a model or a disk that stands still, does not keep its asker waiting. Who above has a
prompt, and whether silence is to be held against it, is the business of ``shared.protocol.holder``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from device_agent.delivery.accepted import NOBODY, AcceptedPrompt, Stage
from device_agent.delivery.actions import Action, Answer, Forget, Resolve, Send, Store
from device_agent.delivery.due_times import DueTimes
from device_agent.delivery.retry import Retries, RetryPolicy
from device_agent.delivery.revisions import Revisions, joined
from shared.errors import Expired, Quarantined
from shared.messages import Failure, Result
from shared.protocol.evidence import Blame, Doubt, Trust, learned
from shared.wire.codec import WORKING

if TYPE_CHECKING:
    import random
    from uuid import UUID

    from shared.cascade.tier import Escalation
    from shared.wire.codec import Notice

_COMMIT_S: Final = 0.25
"""How long a result whose time is up waits for its commit."""


class Delivery:
    """Accepted prompts by id; an entry leaves exactly once, with its ``Answer``."""

    def __init__(self, backoff: RetryPolicy, draw: random.Random) -> None:
        self._patience_s = backoff.patience_s
        self._repeats = Retries(backoff, draw)
        self._entries: dict[UUID, AcceptedPrompt] = {}
        self._revisions = Revisions()
        self._due = DueTimes(self._entries)

    def __len__(self) -> int:
        """Return how many prompts are accepted and not answered."""
        return len(self._entries)

    def __contains__(self, prompt_id: UUID) -> bool:
        return prompt_id in self._entries

    # -- from the program that asks ------------------------------------------------------------

    def accept(self, prompt_id: UUID, deadline_s: float, *, revisions: bool = False) -> None:
        """Take responsibility for a prompt; with ``revisions`` a late better answer is wanted."""
        entry = self._entries[prompt_id] = AcceptedPrompt(deadline_s, revisions)
        self._schedule(prompt_id, entry, deadline_s)

    def restore(self, escalated: Escalation, *, revisions: bool, now_s: float) -> None:
        """Take up a prompt that an earlier run of this device had stored."""
        prompt = escalated.prompt
        entry = AcceptedPrompt(prompt.deadline_s, revisions, Stage.ABOVE, escalated)
        self._entries[prompt.id] = entry
        self._schedule(prompt.id, entry, now_s)

    def answer(self, result: Result) -> list[Action]:
        """Answer a prompt that never went up."""
        return [Answer(result)] if self._entries.pop(result.id, None) else []

    def escalate(self, escalated: Escalation) -> list[Action]:
        """Begin to send a prompt up."""
        entry = self._entries.get(escalated.prompt.id)
        if entry is None:
            return []
        entry.stage, entry.escalated = Stage.STORING, escalated
        return [Store(escalated)]

    def withdraw(self, prompt_id: UUID) -> None:
        """Forget a prompt that nobody waits for any more."""
        self._entries.pop(prompt_id, None)
        self._repeats.end(prompt_id)

    # -- from the store ------------------------------------------------------------------------

    def stored(self, prompt_id: UUID) -> list[Action]:
        """Go on once the prompt is committed."""
        entry = self._entries.get(prompt_id)
        if entry is None or entry.escalated is None:
            return [Forget(prompt_id)]
        entry.stage = Stage.ABOVE
        return self._send(entry, entry.escalated)

    def unstored(self, prompt_id: UUID, reason: str) -> list[Action]:
        """Answer here what could not be committed: what is not stored is not sent."""
        entry = self._entries.pop(prompt_id, None)
        if entry is None or entry.escalated is None:
            return []
        return [Answer(entry.escalated.degraded(reason))]

    def resolved(self, prompt_id: UUID) -> list[Action]:
        """Answer once the result is committed."""
        entry = self._entries.pop(prompt_id, None)
        if entry is None or entry.resolving is None:
            return []
        better = self._revisions.revise(entry.better) if entry.better else []
        return [Answer(entry.resolving), *better]

    def resolve_at_once(self) -> list[Action]:
        """Answer whatever waits for its commit: there is no more time to wait for the disk."""
        waiting = [key for key, entry in self._entries.items() if entry.resolving is not None]
        return [action for prompt_id in waiting for action in self.resolved(prompt_id)]

    # -- from whoever sends --------------------------------------------------------------------

    def sent(
        self, prompt_id: UUID, agent: str, now_s: float, *, pooled: bool = False
    ) -> list[Action]:
        """Take note of the agent that has the prompt now: one of a pool, if it is ``pooled``."""
        entry = self._above(prompt_id)
        if entry is None:
            return []
        entry.give_up_s = 0.0
        code = entry.holder.sent(agent, now_s, pooled=pooled)
        if code:
            return self.declined(prompt_id, agent, code)
        if entry.holder.probed:
            silence_s = self._repeats.word_s()
        else:
            silence_s = entry.silence_s = self._repeats.longer_s(entry.silence_s)
        self._schedule(prompt_id, entry, now_s + self._repeats.draw_s(silence_s))
        return []

    def refused(self, prompt_id: UUID, reason: str, now_s: float) -> list[Action]:
        """Give our own answer to what cannot travel: no agent and no repeat will help."""
        entry = self._above(prompt_id)
        return self._degrade(prompt_id, entry, reason, now_s) if entry else []

    def unsent(
        self, prompt_id: UUID, now_s: float, *, declined: str = "", reason: str = NOBODY
    ) -> list[Action]:
        """Wait a while for an agent above, since none took the prompt; ``reason`` says why not.

        With ``declined``, as in ``Send``, all were asked: then there is nothing to wait for.
        """
        entry = self._above(prompt_id)
        if entry is None:
            return []
        self._repeats.end(prompt_id)
        entry.holder.lost()
        if declined:
            return self._degrade(prompt_id, entry, f"every agent above is {declined}", now_s)
        entry.give_up_s = entry.give_up_s or now_s + self._patience_s
        entry.nobody = reason
        self._schedule(prompt_id, entry, entry.give_up_s)
        return self._repeat()

    # -- from above ----------------------------------------------------------------------------

    def noticed(self, prompt_id: UUID, notice: Notice, now_s: float) -> list[Action]:
        """Take an agent's word: it is at work on the prompt, or will not have it."""
        if notice.code != WORKING:
            return self.declined(prompt_id, notice.agent, notice.code)
        return [Trust(notice.agent), *self.working(prompt_id, notice.agent, now_s)]

    def declined(self, prompt_id: UUID, agent: str, code: str) -> list[Action]:
        """Try another agent, if it is the one that has the prompt who will not have it."""
        entry = self._above(prompt_id)
        if entry is None or entry.escalated is None or not entry.holder.declines(agent, code):
            return []
        return self._send(entry, entry.escalated, declined=code)

    def working(self, prompt_id: UUID, agent: str, now_s: float) -> list[Action]:
        """Wait on: the prompt is in an agent's hands, and that agent is well."""
        entry = self._above(prompt_id)
        if entry is None:
            return []
        took_s = entry.holder.works(agent, now_s)
        if took_s is not None:
            self._repeats.note_word(took_s)
        if entry.holder.sending:
            return []
        entry.wanted, entry.give_up_s = False, 0.0
        self._repeats.end(prompt_id)
        entry.silence_s = self._repeats.longer_s(entry.silence_s)
        self._schedule(prompt_id, entry, now_s + self._repeats.draw_s(entry.silence_s))
        return self._repeat()

    def came(self, result: Result, now_s: float) -> list[Action]:
        """Take a result from above; nothing is to be done about one that comes again.

        A prompt that was put aside because the model failed at it is that agent's failure: with
        hops in the result it was somebody above who put it aside.
        """
        entry = self._entries.get(result.id)
        if entry is None:
            return self._revisions.revise(result)
        if entry.resolving is not None and entry.resolving.degraded:
            entry.better = result  # for a revision, where one is wanted
        if entry.stage is not Stage.ABOVE or entry.escalated is None:
            return []
        if isinstance(result.outcome, Failure):
            reason = f"the tier above failed: {result.outcome.reason}"
            quarantined = result.outcome.code == Quarantined.code and not result.hops
            blamed = entry.holder.agent if quarantined else ""
            degraded = self._degrade(result.id, entry, reason, now_s)
            return [Blame(blamed), *degraded] if blamed else degraded
        took_s = entry.holder.took_s(result.hops[0].agent, now_s) if result.hops else None
        if took_s is not None:
            self._repeats.note_answer(took_s)
        resolve = self._resolve(entry, joined(entry.escalated, result), now_s)
        return [*learned(entry.escalated, result), *resolve]

    # -- from the clock ------------------------------------------------------------------------

    def tick(self, now_s: float) -> list[Action]:
        """Return what is to be done by now: repeats of what met silence, answers of our own."""
        actions: list[Action] = []
        while (due := self._due.take(now_s)) is not None:
            actions += self._overdue(*due, now_s)
        return actions + self._repeat()

    def rearm(self, now_s: float, *, unsent_only: bool = False) -> None:
        """Make what waits above due at once: the connection, or an agent, has come back.

        What was sent before a connection was lost may be with nobody: no agent is to blame for it.
        """
        for prompt_id, entry in self._entries.items():
            if entry.stage is not Stage.ABOVE or (unsent_only and entry.holder.agent):
                continue
            entry.holder.uncertain()
            self._schedule(prompt_id, entry, now_s)

    def next_due_s(self) -> float | None:
        """Return when ``tick`` next has something to say."""
        return self._due.next_s()

    def stop(self, reason: str, now_s: float) -> list[Action]:
        """Answer here whatever still waits above."""
        actions: list[Action] = []
        for prompt_id, entry in list(self._entries.items()):
            actions += self._degrade(prompt_id, entry, reason, now_s)
        return actions

    # -- within --------------------------------------------------------------------------------

    def _above(self, prompt_id: UUID) -> AcceptedPrompt | None:
        entry = self._entries.get(prompt_id)
        return entry if entry is not None and entry.stage is Stage.ABOVE else None

    def _overdue(self, prompt_id: UUID, entry: AcceptedPrompt, now_s: float) -> list[Action]:
        if entry.stage is Stage.HERE:
            error = Expired("the prompt's time ran out before it was judged")
            return self.answer(Result(prompt_id, Failure(error.code, str(error))))
        if entry.stage is Stage.RESOLVING:
            return self.resolved(prompt_id)
        if now_s >= entry.deadline_s:
            return self._degrade(prompt_id, entry, "no better answer came in time", now_s)
        if entry.give_up_s and now_s >= entry.give_up_s:
            return self._degrade(prompt_id, entry, entry.nobody, now_s)
        if entry.stage is Stage.ABOVE:
            entry.wanted = True
            self._repeats.want(prompt_id)
        self._schedule(prompt_id, entry, entry.deadline_s)
        return []

    def _send(
        self, entry: AcceptedPrompt, escalated: Escalation, *, declined: str = ""
    ) -> list[Action]:
        """Give the prompt to whoever is to have it next, and blame who left us waiting."""
        following = entry.holder.next()
        self._schedule(escalated.prompt.id, entry, entry.deadline_s)
        send = Send(escalated, following.to, following.tried, declined)
        if following.doubted:
            return [Doubt(following.doubted, following.stopped), send]
        return [send]

    def _repeat(self) -> list[Action]:
        """Send again as many as may be under way."""
        actions: list[Action] = []
        for prompt_id in self._repeats.ready():
            entry = self._above(prompt_id)
            if entry is not None and entry.escalated is not None and entry.wanted:
                entry.wanted = False
                self._repeats.begin(prompt_id)
                actions += self._send(entry, entry.escalated)
        return actions

    def _resolve(self, entry: AcceptedPrompt, result: Result, now_s: float) -> list[Action]:
        entry.stage, entry.resolving = Stage.RESOLVING, result
        self._due.set(result.id, entry, max(entry.deadline_s, now_s + _COMMIT_S))
        self._repeats.end(result.id)
        return [Resolve(result), *self._repeat()]

    def _degrade(
        self, prompt_id: UUID, entry: AcceptedPrompt, reason: str, now_s: float
    ) -> list[Action]:
        """Give our own answer, since nothing better can come in time."""
        if entry.escalated is None or entry.stage is Stage.RESOLVING:
            return []
        if entry.revisions:
            self._revisions.want(entry.escalated)
        if entry.stage is Stage.STORING:
            return self.unstored(prompt_id, reason)
        return self._resolve(entry, entry.escalated.degraded(reason), now_s)

    def _schedule(self, prompt_id: UUID, entry: AcceptedPrompt, due_s: float) -> None:
        """Look at the prompt again at ``due_s``, or at its deadline if that comes first."""
        self._due.set(prompt_id, entry, min(due_s, entry.deadline_s))
