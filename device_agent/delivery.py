"""The protocol core of a device: from accepting a prompt to its one result.

Pure. What happens comes in as a call with the time, and each call returns what is to be done; the
driver, ``device_agent.escalations``, does it and reports back. A prompt goes one way::

    here ── answered here ───────────────────────────► Answer
      └─ escalated: Store ─ stored ─► above: Send, again and again
                                        └─ a result, or none in time: Settle ─ settled ─► Answer

Only what is stored is sent, and only what is settled is answered, so that a device that dies at
any point goes on where it was.
"""

from __future__ import annotations

import enum
import heapq
import math
from collections import OrderedDict
from dataclasses import dataclass
from typing import TYPE_CHECKING

from device_agent.actions import Action, Answer, Forget, Revise, Send, Settle, Store
from device_agent.repeats import Backoff, Repeats
from shared.messages import Failure

if TYPE_CHECKING:
    import random
    from uuid import UUID

    from shared.escalated import Escalated
    from shared.messages import Result

_REVISABLE = 1_000


class _State(enum.Enum):
    HERE = enum.auto()
    STORING = enum.auto()
    ABOVE = enum.auto()
    SETTLING = enum.auto()


@dataclass
class _Entry:
    deadline_s: float
    revisions: bool
    state: _State = _State.HERE
    escalated: Escalated | None = None
    settling: Result | None = None
    sends: int = 0
    sent_s: float = 0.0
    silence_s: float = 0.0
    due_s: float = math.inf
    give_up_s: float = 0.0


class Delivery:
    """Accepted prompts by id; an entry leaves exactly once, with its ``Answer``."""

    def __init__(self, backoff: Backoff, draw: random.Random) -> None:
        self._patience_s = backoff.patience_s
        self._repeats = Repeats(backoff, draw)
        self._entries: dict[UUID, _Entry] = {}
        self._revisable: OrderedDict[UUID, Escalated] = OrderedDict()
        self._due: list[tuple[float, int, UUID]] = []
        self._pushes = 0

    def __len__(self) -> int:
        """Return how many prompts are accepted and not answered."""
        return len(self._entries)

    def __contains__(self, prompt_id: UUID) -> bool:
        return prompt_id in self._entries

    def above(self, prompt_id: UUID) -> Escalated | None:
        """Return a prompt that is stored, and neither settled nor answered yet."""
        entry = self._entries.get(prompt_id)
        return entry.escalated if entry and entry.state is _State.ABOVE else None

    # -- from the program that asks ------------------------------------------------------------

    def accept(self, prompt_id: UUID, deadline_s: float, *, revisions: bool = False) -> None:
        """Take responsibility for a prompt; with ``revisions`` a late better answer is wanted."""
        self._entries[prompt_id] = _Entry(deadline_s, revisions)

    def restore(self, escalated: Escalated, *, revisions: bool, now_s: float) -> None:
        """Take up a prompt that an earlier run of this device had stored."""
        prompt = escalated.prompt
        entry = _Entry(prompt.deadline_s, revisions, _State.ABOVE, escalated)
        self._entries[prompt.id] = entry
        self._schedule(prompt.id, entry, now_s)

    def answer(self, result: Result) -> list[Action]:
        """Answer a prompt that never went up."""
        return [Answer(result)] if self._entries.pop(result.id, None) else []

    def escalate(self, escalated: Escalated) -> list[Action]:
        """Begin to send a prompt up."""
        prompt_id = escalated.prompt.id
        entry = self._entries.get(prompt_id)
        if entry is None:
            return []
        entry.state, entry.escalated = _State.STORING, escalated
        self._schedule(prompt_id, entry, entry.deadline_s)
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
        entry.state = _State.ABOVE
        return [Send(entry.escalated)]

    def unstored(self, prompt_id: UUID, reason: str) -> list[Action]:
        """Answer here what could not be committed: what is not stored is not sent."""
        entry = self._entries.pop(prompt_id, None)
        if entry is None or entry.escalated is None:
            return []
        return [Answer(entry.escalated.fall_back(reason))]

    def settled(self, prompt_id: UUID) -> list[Action]:
        """Answer once the result is committed."""
        entry = self._entries.pop(prompt_id, None)
        return [Answer(entry.settling)] if entry and entry.settling else []

    # -- from above ----------------------------------------------------------------------------

    def sent(self, prompt_id: UUID, now_s: float, *, declined: str = "") -> list[Action]:
        """Take note of who has the prompt now, if anybody."""
        entry = self._entries.get(prompt_id)
        if entry is None or entry.state is not _State.ABOVE or entry.escalated is None:
            return []
        if entry.escalated.agent is None:
            self._repeats.end(prompt_id)
            if declined:
                return self._degrade(prompt_id, entry, f"every agent above is {declined}")
            entry.give_up_s = entry.give_up_s or now_s + self._patience_s
            self._schedule(prompt_id, entry, entry.give_up_s)
            return self._repeat()
        entry.give_up_s = 0.0
        entry.sends, entry.sent_s = entry.sends + 1, now_s
        entry.silence_s = self._repeats.longer_s(entry.silence_s)
        self._schedule(prompt_id, entry, now_s + self._repeats.draw_s(entry.silence_s))
        return []

    def declined(self, prompt_id: UUID, code: str) -> list[Action]:
        """Try another agent."""
        escalated = self.above(prompt_id)
        return [Send(escalated, declined=code)] if escalated else []

    def came(self, result: Result, now_s: float) -> list[Action]:
        """Take a result from above; nothing is to be done about one that comes again."""
        entry = self._entries.get(result.id)
        if entry is None:
            return self._revise(result)
        if entry.state is not _State.ABOVE or entry.escalated is None:
            return []
        if isinstance(result.outcome, Failure):
            reason = f"the tier above failed: {result.outcome.reason}"
            return self._degrade(result.id, entry, reason)
        if entry.sends == 1:  # of a repeated prompt nobody knows which one was answered
            self._repeats.note_round_trip(now_s - entry.sent_s)
        return self._settle(entry, _joined(entry.escalated, result))

    # -- from the clock ------------------------------------------------------------------------

    def tick(self, now_s: float) -> list[Action]:
        """Return what is to be done by now: repeats of what met silence, answers of our own."""
        actions: list[Action] = []
        while self._due and self._due[0][0] <= now_s:
            due_s, _, prompt_id = heapq.heappop(self._due)
            entry = self._entries.get(prompt_id)
            if entry is None or entry.escalated is None or entry.due_s != due_s:
                continue
            reason = _reason(entry, now_s)
            if reason:
                actions += self._degrade(prompt_id, entry, reason)
            elif entry.state is _State.ABOVE:
                self._repeats.want(prompt_id)
                self._schedule(prompt_id, entry, entry.deadline_s)
        return actions + self._repeat()

    def rearm(self, now_s: float, *, unsent_only: bool = False) -> None:
        """Make what waits above due at once: the connection, or an agent, has come back.

        What was sent before a connection was lost may be with nobody: no agent is to blame for it.
        """
        for prompt_id, entry in self._entries.items():
            escalated = entry.escalated if entry.state is _State.ABOVE else None
            if escalated is None or (unsent_only and escalated.agent is not None):
                continue
            escalated.agent = None
            self._schedule(prompt_id, entry, now_s)

    def next_due_s(self) -> float | None:
        """Return when ``tick`` next has something to say."""
        return self._due[0][0] if self._due else None

    def stop(self, reason: str) -> list[Action]:
        """Answer here whatever still waits above."""
        actions: list[Action] = []
        for prompt_id, entry in list(self._entries.items()):
            actions += self._degrade(prompt_id, entry, reason)
        return actions

    # -- within --------------------------------------------------------------------------------

    def _settle(self, entry: _Entry, result: Result) -> list[Action]:
        entry.state, entry.settling, entry.due_s = _State.SETTLING, result, math.inf
        self._repeats.end(result.id)
        return [Settle(result), *self._repeat()]

    def _degrade(self, prompt_id: UUID, entry: _Entry, reason: str) -> list[Action]:
        """Give our own answer, since nothing better can come in time."""
        if entry.escalated is None or entry.state is _State.SETTLING:
            return []
        if entry.revisions:
            self._revisable[prompt_id] = entry.escalated
            if len(self._revisable) > _REVISABLE:
                self._revisable.popitem(last=False)
        if entry.state is _State.STORING:
            return self.unstored(prompt_id, reason)
        return self._settle(entry, entry.escalated.fall_back(reason))

    def _revise(self, result: Result) -> list[Action]:
        if isinstance(result.outcome, Failure):
            return []
        escalated = self._revisable.pop(result.id, None)
        return [Revise(_joined(escalated, result))] if escalated else []

    def _repeat(self) -> list[Action]:
        """Send again as many as may be under way."""
        actions: list[Action] = []
        for prompt_id in self._repeats.ready():
            escalated = self.above(prompt_id)
            if escalated is not None:
                self._repeats.begin(prompt_id)
                actions.append(Send(escalated, silent=escalated.agent is not None))
        return actions

    def _schedule(self, prompt_id: UUID, entry: _Entry, due_s: float) -> None:
        """Look at the prompt again at ``due_s``, or at its deadline if that comes first."""
        entry.due_s = min(due_s, entry.deadline_s)
        self._pushes += 1
        heapq.heappush(self._due, (entry.due_s, self._pushes, prompt_id))


def _joined(escalated: Escalated, result: Result) -> Result:
    """Return a result from above with our own hop, which did not travel back, before its hops."""
    return result.after(escalated.prompt.hops)


def _reason(entry: _Entry, now_s: float) -> str:
    if now_s >= entry.deadline_s:
        return "no better answer came in time"
    if entry.give_up_s and now_s >= entry.give_up_s:
        return "no agent above is alive"
    return ""
