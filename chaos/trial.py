"""A scenario, and a scenario under way."""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Final

from chaos.plan import Plan
from shared.tasks import TASKS

if TYPE_CHECKING:
    import random
    from collections.abc import Awaitable, Callable

    from chaos.allowed import Allowed
    from chaos.asker import CarefulAsker
    from chaos.ledger import Ledger
    from chaos.site import ChaosSite

_MIXED_PACE: Final = 0.25
_MIXED_TIME: Final = 2.0
_MIXED_TIMEOUT: Final = 2.5
"""As against labels alone: a text is twenty times the work of one."""


@dataclass
class Trial:
    """One scenario under way; times are on the monotonic clock.

    ``healed_s`` is when the last fault ended, ``settled_s`` when those that it took were back.
    """

    site: ChaosSite
    asker: CarefulAsker
    ledger: Ledger
    seconds: float
    timeout_s: float
    draw: random.Random
    healed_s: float = 0.0
    settled_s: float = 0.0
    faults: list[str] = field(default_factory=list)
    """What the scenario itself found wrong."""

    async def wait(self, share: float) -> None:
        """Let a share of the scenario's time pass."""
        await asyncio.sleep(self.seconds * share)

    def heal(self) -> None:
        """Note that from now on nothing is broken any more."""
        self.healed_s = self.settled_s = time.monotonic()

    async def restart(self, *names: str, down_s: float) -> None:
        """Kill processes, start them again after a while, and wait until everybody is there."""
        killed_s = time.monotonic()
        self.site.kill(*names)
        await asyncio.sleep(down_s)
        for name in names:
            self.site.start(name)
        await self.back()
        self.ledger.away.append((killed_s, self.settled_s))

    async def back(self) -> None:
        """Note that nothing is broken any more, and wait until everybody is there again."""
        self.heal()
        await self.site.all_online()
        self.settled_s = time.monotonic()


@dataclass(frozen=True)
class ChaosScenario:
    """A plan, a pace, and what happens meanwhile. ``timeout_s`` is what every question allows.

    ``allowed`` is how many answers may be degraded: more is a broken promise, as a lost one is.
    ``texts`` are how many different ones are asked, if not all that there are.
    ``loses_answers`` says that the broker or its link to a device may lose an answer that is out.
    """

    name: str
    says: str
    disturb: Callable[[Trial], Awaitable[None]]
    allowed: Allowed
    plan: Plan = field(default_factory=Plan)
    rate_s: float = 90.0
    seconds: float = 14.0
    timeout_s: float = 8.0
    pad_bytes: int = 0
    texts: int = 0
    loses_answers: bool = False

    def mixed(self) -> ChaosScenario:
        """Return the same with an agent for every task at each machine, and questions of all."""
        return replace(
            self,
            plan=replace(self.plan, tasks=TASKS),
            rate_s=self.rate_s * _MIXED_PACE,
            seconds=self.seconds * _MIXED_TIME,
            timeout_s=self.timeout_s * _MIXED_TIMEOUT,
            texts=self.texts // len(TASKS),
        )


async def nothing(trial: Trial) -> None:
    """Leave the site alone: what is wrong with it stands in its plan."""
    trial.heal()
    await trial.wait(0)
