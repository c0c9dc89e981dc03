"""Who above has a prompt: who was asked, who said no, and whether the one that has it still speaks.

Pure, and the same for a device (``device_agent.delivery.protocol``) and for an agent between
(``shared.protocol.admission``). Being slow is not being dead, so silence has two steps: a prompt
that met silence is first repeated to the agent that has it, which says ``working`` if it is at work
on it. Only one that says nothing to that either is doubted, and another agent asked.
"""

from __future__ import annotations

from typing import NamedTuple

import msgspec


class Next(NamedTuple):
    """Whom to send a prompt to.

    ``to`` is the agent that has it and is asked again; without one, any will do that is not in
    ``tried``. ``doubted`` said nothing when it was asked again; it had said ``working`` before if
    it ``stopped``.
    """

    to: str = ""
    tried: frozenset[str] = frozenset()
    doubted: str = ""
    stopped: bool = False


class Holder(msgspec.Struct):
    """The agent that has one prompt, if any, and what came before it."""

    agent: str = ""
    """Who has the prompt; of a pool, whose members share an address, one that stands for all."""
    sending: bool = False
    """The prompt is on its way to somebody, who is not known yet."""
    _asked_s: dict[str, float] = {}
    _declined: set[str] = set()
    _early: dict[str, str] = {}
    _pooled: bool = False
    _probed: bool = False
    _uncertain: bool = False
    _spoken: set[str] = set()
    _works: bool = False
    _sent_s: float = 0.0

    def next(self) -> Next:
        """Say whom to send the prompt to, now that it is to be sent, or sent again."""
        to, doubted = "", ""
        if self.agent and not self._probed:
            to = self.agent
        elif self.agent:
            doubted = self.agent
        stopped = bool(doubted) and self._works
        tried = frozenset(self._asked_s)
        if not to:
            self.agent = ""
        self.sending = True
        self._spoken.clear()
        return Next(to, tried, doubted, stopped)

    def sent(self, agent: str, now_s: float, *, pooled: bool = False) -> str:
        """Take note of who has the prompt now; return its code if it has declined already.

        An agent's word may overtake the broker's that it has the prompt.
        """
        again = agent == self.agent
        if agent in self._asked_s and not again:  # all were asked: a new round begins
            self._asked_s = {agent: self._asked_s[agent]}
            self._declined.clear()
        self._asked_s.setdefault(agent, now_s)
        spoke = agent in self._spoken or (pooled and bool(self._spoken))
        self._probed = again and not spoke and not self._uncertain
        self._works = spoke or (self._works and again)
        self._uncertain = False
        self._pooled, self._sent_s = pooled, now_s
        self.agent, self.sending = agent, False
        early, self._early = self._early, {}
        return next(iter(early.values()), "") if pooled else early.get(agent, "")

    def lost(self) -> None:
        """Take note that nobody has the prompt."""
        self.agent = ""
        self.uncertain()

    def uncertain(self) -> None:
        """Take note that the prompt may be with nobody: it is sent anew, to the same agent if any.

        Nobody is to be blamed for what a lost connection may have swallowed.
        """
        self.sending, self._probed, self._works, self._uncertain = False, False, False, True
        self._early.clear()

    def declines(self, agent: str, code: str) -> bool:
        """Say whether an agent's refusal means that the prompt has to go to another.

        It does not when it comes again, or from somebody who does not have the prompt (any more).
        """
        if agent in self._declined:
            return False
        if self.sending:
            self._early[agent] = code
            return False
        if not self.agent or (agent != self.agent and not self._pooled):
            return False
        self._declined.add(agent)
        self.agent = ""
        return True

    def works(self, agent: str, now_s: float) -> float | None:
        """Take an agent's word that it is at work; return how long it took to say so when asked.

        It may overtake the broker's word that the agent has the prompt; that of one who does not
        have it (any more) says nothing of the one who does.
        """
        if self.sending:
            self._spoken.add(agent)
            return None
        if agent != self.agent and not self._pooled:
            return None
        asked, self._probed, self._works = self._probed, False, True
        return now_s - self._sent_s if asked else None

    @property
    def probed(self) -> bool:
        """Whether the agent that has the prompt was asked again, and has not answered that."""
        return self._probed

    def took_s(self, agent: str, now_s: float) -> float | None:
        """Return how long an agent's answer took, from when it was first asked."""
        first_s = self._asked_s.get(agent)
        return None if first_s is None else now_s - first_s
