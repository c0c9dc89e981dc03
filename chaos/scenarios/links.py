"""Links that are cut, silent, slow, or careless with messages."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Literal

from chaos.allowed import Allowed
from chaos.plan import Plan
from chaos.proxy import LinkFaults
from chaos.scenarios.processes import FIRST_BACK
from chaos.trial import ChaosScenario, Trial

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

_SILENT_S = 5.0
_LINKS = Plan(links=True)
_SHORTER = "the silence is shorter than the 8 s of a prompt"


async def _cut(trial: Trial) -> None:
    await trial.wait(0.2)
    for _ in range(4):
        for proxy in trial.site.proxies.values():
            proxy.cut()
        await trial.wait(0.15)
    trial.heal()


def _silent(*ways: Literal["up", "down"]) -> Callable[[Trial], Awaitable[None]]:
    async def disturb(trial: Trial) -> None:
        await trial.wait(0.2)
        for name in ("edge-1", "device-1"):
            proxy = trial.site.proxies[name]
            proxy.faults = LinkFaults(silent=frozenset(ways))
            await asyncio.sleep(_SILENT_S)
            proxy.faults = LinkFaults()
            proxy.cut()  # what a link swallowed is gone for good
            trial.heal()

    return disturb


def _careless(faults: LinkFaults) -> Callable[[Trial], Awaitable[None]]:
    async def disturb(trial: Trial) -> None:
        for proxy in trial.site.proxies.values():
            proxy.faults = faults
        await trial.wait(0.8)
        for proxy in trial.site.proxies.values():
            proxy.faults = LinkFaults()
        trial.heal()

    return disturb


SCENARIOS = (
    ChaosScenario(
        "cut", "every link is cut, four times", _cut, Allowed(FIRST_BACK, prompts=12), _LINKS
    ),
    ChaosScenario(
        "black-hole",
        "the links of an edge agent, then of a device, swallow everything for 5 s",
        _silent("up", "down"),
        Allowed(_SHORTER),
        _LINKS,
    ),
    ChaosScenario(
        "deaf",
        "the same links bring nothing back for 5 s",
        _silent("down"),
        Allowed(_SHORTER),
        _LINKS,
    ),
    ChaosScenario(
        "mute", "the same links take nothing up for 5 s", _silent("up"), Allowed(_SHORTER), _LINKS
    ),
    ChaosScenario(
        "frames",
        "5 % of messages are lost, 10 % come twice, 10 % out of order",
        _careless(LinkFaults(lose=0.05, repeat=0.1, reorder=0.1)),
        Allowed(
            "a way up and back loses one in four to five, and each has four tries in its 8 s",
            share=0.005,
        ),
        _LINKS,
        loses_answers=True,
    ),
    ChaosScenario(
        "slow-links",
        "every packet takes 300 ms between agent and broker",
        _careless(LinkFaults(delay_s=0.3)),
        Allowed("a way up and back takes 1.2 s, and a prompt has 8"),
        _LINKS,
    ),
)
