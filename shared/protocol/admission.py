"""The protocol core of an upper agent: from a prompt's arrival to its reply.

Pure. What happens comes in as a call with the time, and each call returns the one thing to do next,
or None; the driver, ``shared.serving.service``, does it and reports back. A prompt goes one way::

    arrived ─► Attempt ─ attempted ─► Process ─ processed ─► StoreResult ─ kept ─► SendResult
                  ▲                     │ └─ escalated: Forward ─ sent ─► (a tier above replies)
                  └── the model failed ─┘ └─ thrice: Quarantine ─ quarantined ─► StoreResult …

An attempt is counted before the model runs, where a crash cannot undo it: a prompt that kills its
agent is taken three times and no more. A result is kept before it is out, so that a repeat never
runs the model twice. A repeat of what is in hand is answered that it is. Prompts are known by
origin and id.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import msgspec

from shared.cascade.tier import Escalation
from shared.errors import Busy, Expired, ModelFailed, Quarantined, Stopping
from shared.messages import Failure, Prompt, Result
from shared.protocol.actions import (
    Action,
    Attempt,
    Decline,
    Forward,
    Heed,
    Key,
    Process,
    Quarantine,
    SendResult,
    StoreResult,
    Working,
)
from shared.protocol.evidence import Doubt, Learn, Trust, learned
from shared.protocol.forwarded import ForwardedPrompt, ForwardedPrompts
from shared.protocol.holder import Holder
from shared.wire.codec import WORKING

if TYPE_CHECKING:
    from collections.abc import Callable
    from uuid import UUID

    from shared.protocol.batch_queue import Queue
    from shared.protocol.rate_limit import RateLimiter
    from shared.wire.codec import Notice

_NOT_HERE = (Busy.code, Stopping.code)
"""Failures of this agent and not of the prompt: another agent may do better."""
_REPEAT_S = 0.2
"""Repeats of one prompt that come faster than this do not go up again."""


class Admission:
    """What is under way at one upper agent."""

    def __init__(
        self,
        rates: RateLimiter,
        *,
        attempts: int,
        limit_bytes: int,
        new_id: Callable[[], UUID] | None = None,
    ) -> None:
        """Give prompts a ``new_id`` on their way up if results from there come through here."""
        self._rates = rates
        self._attempts = attempts
        self._new_id = new_id
        self._in_hand: dict[Key, float] = {}
        self._sent_on = ForwardedPrompts(limit_bytes)

    # -- from below ----------------------------------------------------------------------------

    def arrived(
        self, prompt: Prompt, known: Result | None, queue: Queue, now_s: float
    ) -> Action | None:
        """Take a prompt; ``known`` is its result if it is remembered."""
        key = key_of(prompt)
        admitted = self._admits(prompt, now_s)
        if known is not None:
            return SendResult(prompt, known) if admitted else None
        remaining_s = prompt.deadline_s - now_s
        if remaining_s <= 0:
            return None  # nobody waits for it any more
        onward = self._sent_on.find(key)
        if onward is not None:
            return self._repeated(prompt, onward, now_s, admitted=admitted)
        told_s = self._in_hand.get(key)
        if told_s is not None:
            return self._in_hand_still(prompt, told_s, now_s)
        too_late = queue.full or queue.wait_s > remaining_s / 2
        if too_late or not admitted:
            return Decline(prompt, Busy.code)
        self._in_hand[key] = -math.inf
        return Attempt(prompt)

    def _admits(self, prompt: Prompt, now_s: float) -> bool:
        device = prompt.hops[0].agent if len(prompt.hops) > 1 else ""
        return self._rates.admit(prompt.origin, now_s, size_bytes=prompt.size_bytes, device=device)

    def _in_hand_still(self, prompt: Prompt, told_s: float, now_s: float) -> Action | None:
        """Say that a prompt is in hand, unless that was only just said: silence would be blamed."""
        if now_s - told_s < _REPEAT_S:
            return None
        self._in_hand[key_of(prompt)] = now_s
        return Working(prompt)

    def _repeated(
        self, prompt: Prompt, onward: ForwardedPrompt, now_s: float, *, admitted: bool
    ) -> Action | None:
        """Ask again above about a prompt that was sent on, unless that was only just done."""
        if now_s - onward.repeated_s < _REPEAT_S:
            return None
        onward.repeated_s = now_s
        if not admitted:
            return Working(prompt)
        deadline_s = prompt.deadline_s  # the time that its asker gives it now
        fresh = msgspec.structs.replace(onward.escalated.prompt, deadline_s=deadline_s)
        onward.escalated = msgspec.structs.replace(onward.escalated, prompt=fresh)
        return Working(prompt, self._send_on(onward, again=True))

    def _send_on(self, onward: ForwardedPrompt, *, again: bool) -> Forward | Heed:
        """Give the prompt to whoever is to have it next, and doubt who left us waiting."""
        prompt = msgspec.structs.replace(onward.escalated.prompt, id=onward.id_above)
        following = onward.holder.next()
        forward = Forward(onward, prompt, following, again)
        if following.doubted:
            return Heed((Doubt(following.doubted, following.stopped),), forward)
        return forward

    def dropped(self, prompt: Prompt) -> None:
        """Let go of a prompt whose work broke off; its origin will repeat it."""
        self._in_hand.pop(key_of(prompt), None)

    # -- from the store and the model ----------------------------------------------------------

    def attempted(self, prompt: Prompt, attempt: int) -> Action:
        """Go on with the attempt of this number, the first being 1."""
        if attempt > self._attempts:
            reason = f"the agent died at it {self._attempts} times"
            return Quarantine(prompt, self._attempts, reason)
        return Process(prompt, attempt)

    def processed(self, process: Process, decided: Result | Escalation) -> Action | None:
        """Go on with what the station made of the prompt."""
        prompt = process.prompt
        if isinstance(decided, Escalation):
            self.dropped(prompt)
            id_above = self._new_id() if self._new_id else prompt.id
            onward = ForwardedPrompt(decided, id_above, Holder())
            self._sent_on.put(onward)
            return self._send_on(onward, again=False)
        code = decided.outcome.code if isinstance(decided.outcome, Failure) else ""
        if code == ModelFailed.code:
            assert isinstance(decided.outcome, Failure)  # noqa: S101 - it has a code
            if process.attempt < self._attempts:
                return Attempt(prompt)
            return Quarantine(prompt, process.attempt, decided.outcome.reason)
        if code == Expired.code:
            self.dropped(prompt)
            return None
        if code in _NOT_HERE:
            self.dropped(prompt)
            return Decline(prompt, code)
        return StoreResult(prompt, decided)

    def quarantined(self, quarantine: Quarantine) -> Action:
        """Answer with the reason; repeats get the same answer."""
        reason = f"put aside after {quarantine.attempts} attempts: {quarantine.reason}"
        return StoreResult(
            quarantine.prompt, Result.failure(quarantine.prompt, Quarantined(reason))
        )

    def kept(self, keep: StoreResult) -> Action | None:
        """Reply once the result is stored."""
        self.dropped(keep.prompt)
        return SendResult(keep.prompt, keep.result) if keep.reply else None

    # -- from above ----------------------------------------------------------------------------

    def sent(
        self, send_on: Forward, agent: str, now_s: float, *, pooled: bool = False
    ) -> Action | None:
        """Take note of who has the prompt now; an agent's refusal may have been quicker."""
        holder = send_on.onward.holder
        code = holder.sent(agent, now_s, pooled=pooled)
        return self._elsewhere(send_on.onward, agent, code) if code else None

    def unsent(self, send_on: Forward, reason: str) -> Action:
        """Answer ourselves what nobody above took, and say so; a repeat tries again."""
        escalated = send_on.onward.escalated
        send_on.onward.holder.lost()
        result = escalated.degraded(reason)
        return Heed((Learn(escalated, result),), SendResult(escalated.prompt, result))

    def ask_again(self, escalated: Escalation) -> Forward | Heed:
        """Send up a prompt of our own, of which only we wait for the result."""
        id_above = self._new_id() if self._new_id else escalated.prompt.id
        onward = ForwardedPrompt(escalated, id_above, Holder())
        self._sent_on.put(onward)
        return self._send_on(onward, again=False)

    def noticed(self, id_above: UUID, notice: Notice, now_s: float) -> Action | None:
        """Take an agent's word: it is at work on a prompt, or will not have it."""
        if notice.code != WORKING:
            return self.declined(id_above, notice.agent, notice.code)
        self.works(id_above, notice.agent, now_s)
        return Heed((Trust(notice.agent),))

    def declined(self, id_above: UUID, agent: str, code: str) -> Action | None:
        """Try another agent above, if it is the one that has the prompt who will not have it."""
        onward = self._sent_on.by_id(id_above)
        return self._elsewhere(onward, agent, code) if onward is not None else None

    def works(self, id_above: UUID, agent: str, now_s: float) -> None:
        """Take an agent's word that it is at work on a prompt."""
        onward = self._sent_on.by_id(id_above)
        if onward is not None:
            onward.holder.works(agent, now_s)

    def came(self, result: Result) -> Action | None:
        """Learn from the result that came from above, and keep it for repeats.

        Or pass it down, if it is ours to.
        """
        onward = self._sent_on.by_id(result.id)
        if onward is None:
            return None
        prompt = onward.escalated.prompt
        self._sent_on.pop(onward.key)
        if self._new_id is not None:
            store = StoreResult(prompt, msgspec.structs.replace(result, id=prompt.id))
        else:
            store = StoreResult(prompt, result.after(prompt.hops), reply=False)
        return Heed(learned(onward.escalated, result), store)

    def _elsewhere(self, onward: ForwardedPrompt, agent: str, code: str) -> Action | None:
        declined = onward.holder.declines(agent, code)
        return self._send_on(onward, again=False) if declined else None


def key_of(prompt: Prompt) -> Key:
    """Return what a prompt is known by: ids are drawn by origins, each for itself."""
    return prompt.origin, prompt.id
