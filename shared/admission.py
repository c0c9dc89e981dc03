"""The protocol core of an upper agent: from a prompt's arrival to its reply.

Pure. What happens comes in as a call with the time, and each call returns the one thing to do next,
or None; the driver, ``shared.service``, does it and reports back. A prompt goes one way::

    arrived ─► Attempt ─ attempted ─► Judge ─ judged ─► Keep ─ kept ─► Reply
                  ▲                     │ └─ escalated: SendOn ─ sent ─► (a tier above replies)
                  └── the model failed ─┘ └─ three times: Quarantine ─ quarantined ─► Keep …

An attempt is counted before the model runs, where a crash cannot undo it: a prompt that kills its
agent is taken three times and no more. A result is kept before it is out, so that a repeat never
runs the model twice. Prompts are known by origin and id.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple
from uuid import UUID

import msgspec

from shared.errors import Busy, Expired, ModelFailed, Quarantined, Stopping
from shared.escalated import Escalated, failed
from shared.messages import Failure, Prompt, Result
from shared.sent_on import SentOn

if TYPE_CHECKING:
    from shared.rates import RateLimits

Key = tuple[str, UUID]
_NOT_HERE = (Busy.code, Stopping.code)
"""Failures of this agent and not of the prompt: another agent may do better."""


class Queue(NamedTuple):
    """How long a prompt that came now would wait, and whether there is room for it at all."""

    wait_s: float
    full: bool


class Attempt(NamedTuple):
    """Count an attempt durably; then say ``attempted``."""

    prompt: Prompt


class Judge(NamedTuple):
    """Score the prompt and decide; then say ``judged``."""

    prompt: Prompt
    attempt: int


class SendOn(NamedTuple):
    """Give the prompt to an agent above; then say ``sent``.

    ``again`` when its origin repeated it: then every agent may be asked once more.
    """

    escalated: Escalated
    again: bool


class Quarantine(NamedTuple):
    """Put the prompt with the dead letters; then say ``quarantined``."""

    prompt: Prompt
    attempts: int
    reason: str


class Keep(NamedTuple):
    """Store the result; then say ``kept``. It goes out afterwards if ``reply`` is set."""

    prompt: Prompt
    result: Result
    reply: bool = True


class Reply(NamedTuple):
    """Publish the result."""

    prompt: Prompt
    result: Result


class Decline(NamedTuple):
    """Tell the sender to try another agent."""

    prompt: Prompt
    code: str


Action = Attempt | Judge | SendOn | Quarantine | Keep | Reply | Decline


class Admission:
    """What is under way at one upper agent. ``relays``: results from above come through here."""

    def __init__(
        self, rates: RateLimits, *, attempts: int, limit_bytes: int, relays: bool = False
    ) -> None:
        self._rates = rates
        self._attempts = attempts
        self._relays = relays
        self._in_hand: set[Key] = set()
        self._sent_on = SentOn(limit_bytes)

    # -- from below ----------------------------------------------------------------------------

    def arrived(
        self, prompt: Prompt, known: Result | None, queue: Queue, now_s: float
    ) -> Action | None:
        """Take a prompt; ``known`` is its result if it is remembered."""
        key = key_of(prompt)
        if known is not None:
            return Reply(prompt, known)
        if key in self._in_hand:
            return None
        escalated = self._sent_on.find(key)
        if escalated is not None:
            deadline_s = prompt.deadline_s  # the time that its asker gives it now
            escalated.prompt = msgspec.structs.replace(escalated.prompt, deadline_s=deadline_s)
            return SendOn(escalated, again=True)
        remaining_s = prompt.deadline_s - now_s
        if remaining_s <= 0:
            return None  # nobody waits for it any more
        too_late = queue.full or queue.wait_s > remaining_s / 2
        if too_late or not self._rates.admit(prompt.origin, now_s):
            return Decline(prompt, Busy.code)
        self._in_hand.add(key)
        return Attempt(prompt)

    def dropped(self, prompt: Prompt) -> None:
        """Let go of a prompt whose work broke off; its origin will repeat it."""
        self._in_hand.discard(key_of(prompt))

    # -- from the store and the model ----------------------------------------------------------

    def attempted(self, prompt: Prompt, attempt: int) -> Action:
        """Go on with the attempt of this number, the first being 1."""
        if attempt > self._attempts:
            reason = f"the agent died at it {self._attempts} times"
            return Quarantine(prompt, self._attempts, reason)
        return Judge(prompt, attempt)

    def judged(self, judge: Judge, settled: Result | Escalated) -> Action | None:
        """Go on with what the station made of the prompt."""
        prompt = judge.prompt
        if isinstance(settled, Escalated):
            self._in_hand.discard(key_of(prompt))
            self._sent_on.put(settled)
            return SendOn(settled, again=False)
        code = settled.outcome.code if isinstance(settled.outcome, Failure) else ""
        if code == ModelFailed.code:
            assert isinstance(settled.outcome, Failure)  # noqa: S101 - it has a code
            if judge.attempt < self._attempts:
                return Attempt(prompt)
            return Quarantine(prompt, judge.attempt, settled.outcome.reason)
        if code == Expired.code:
            self.dropped(prompt)
            return None
        if code in _NOT_HERE:
            self.dropped(prompt)
            return Decline(prompt, code)
        return Keep(prompt, settled)

    def quarantined(self, quarantine: Quarantine) -> Action:
        """Answer with the reason; repeats get the same answer."""
        reason = f"put aside after {quarantine.attempts} attempts: {quarantine.reason}"
        return Keep(quarantine.prompt, failed(quarantine.prompt, Quarantined(reason)))

    def kept(self, keep: Keep) -> Action | None:
        """Reply once the result is stored."""
        self.dropped(keep.prompt)
        return Reply(keep.prompt, keep.result) if keep.reply else None

    # -- from above ----------------------------------------------------------------------------

    def sent(self, escalated: Escalated, above: str) -> Action | None:
        """Answer ourselves if nobody ``above`` took the prompt; a repeat tries again either way."""
        if escalated.agent is not None:
            return None
        reason = f"no {above} agent took the prompt"
        return Reply(escalated.prompt, escalated.fall_back(reason))

    def declined(self, prompt_id: UUID) -> Action | None:
        """Try another agent above, since one declined."""
        escalated = self._sent_on.by_id(prompt_id)
        return SendOn(escalated, again=False) if escalated else None

    def find(self, prompt_id: UUID) -> Escalated | None:
        """Return a prompt that was sent on and has no result yet."""
        return self._sent_on.by_id(prompt_id)

    def came(self, result: Result) -> Action | None:
        """Keep the result that came from above, for repeats; a relay passes it down."""
        escalated = self._sent_on.by_id(result.id)
        if escalated is None:
            return None
        prompt = escalated.prompt
        self._sent_on.pop(key_of(prompt))
        if self._relays:
            return Keep(prompt, result)
        return Keep(prompt, result.after(prompt.hops), reply=False)


def key_of(prompt: Prompt) -> Key:
    """Return what a prompt is known by: ids are drawn by origins, each for itself."""
    return prompt.origin, prompt.id
