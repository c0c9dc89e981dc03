"""Which agent above gets a prompt: of the wanted tier if it has a free one, else of another.

Pure: it is told the time, draws from the generator it is given and keeps what statuses tell in
``shared.roster``. Publishing is the business of ``shared.dispatch``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from shared.roster import Roster

if TYPE_CHECKING:
    import random
    from collections.abc import Sequence

    from shared.messages import Prompt


class Chosen(NamedTuple):
    """An agent, and the roster of its tier."""

    roster: Roster
    agent: str


class Choice:
    """The agents of all tiers above one agent, nearest tier first."""

    def __init__(self, above: Sequence[str], draw: random.Random, *, pool: str = "") -> None:
        """Choose among the agents of the tiers named; those of the nearest may form a ``pool``."""
        self.rosters = [Roster(tier) for tier in above]
        self._draw = draw
        self._pool = pool

    def pick(
        self, prompt: Prompt, up: int, tried: set[str], now_s: float, *, again: bool
    ) -> Chosen | None:
        """Choose an agent ``up`` tiers above that was not ``tried`` yet, and note it there.

        A tier without a free agent is passed over for the next one up, then for those below it.
        With ``again`` all get another chance once no other is left.
        """
        chosen = self._pick(prompt, up, tried, now_s)
        if chosen is None and again and tried:
            tried.clear()
            chosen = self._pick(prompt, up, tried, now_s)
        if chosen is not None:
            tried.add(chosen.agent)
        return chosen

    def address(self, chosen: Chosen) -> str:
        """Return whose topic the prompt goes on: the pool's, or the agent's.

        A pool has one address; it stands for the agents of the nearest tier only.
        """
        nearest = chosen.roster is self.rosters[0]
        return self._pool if self._pool and nearest else chosen.agent

    def failed(self, agent: str, now_s: float) -> Roster | None:
        """Count a failure against an agent; return its roster if that opened its breaker.

        Behind a pool's address nobody knows whose failure it was.
        """
        opened = (r for r in self._known_by_name() if r.failed(agent, now_s, self._draw))
        return next(opened, None)

    def succeeded(self, agent: str, now_s: float) -> Roster | None:
        """Take note of an agent's answer; return its roster if that closed its breaker."""
        closed = (r for r in self._known_by_name() if r.succeeded(agent, now_s))
        return next(closed, None)

    def _pick(self, prompt: Prompt, up: int, tried: set[str], now_s: float) -> Chosen | None:
        wanted = self.rosters[up - 1]
        for roster in (wanted, *self.rosters[up:], *reversed(self.rosters[: up - 1])):
            agent = roster.pick(prompt.task, now_s, self._draw, tried)
            if agent is not None:
                return Chosen(roster, agent)
        return None

    def _known_by_name(self) -> list[Roster]:
        return self.rosters[1:] if self._pool else self.rosters
