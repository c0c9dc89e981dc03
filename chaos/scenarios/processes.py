"""Processes that die and processes that stand still."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from chaos.allowed import Allowed
from chaos.plan import Plan
from chaos.proxy import LinkFaults
from chaos.trial import ChaosScenario, Trial, nothing
from shared.tasks import TASKS

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

_FROZEN_S = 10.0
_STORM_DOWN_S = 0.7
_SILENT_S = 0.7


def killed(*names: str) -> Callable[[Trial], Awaitable[None]]:
    """Kill -9 twice, with a restart after a tenth of the time."""

    async def disturb(trial: Trial) -> None:
        await trial.wait(0.25)
        for _ in range(2):
            await trial.restart(*names, down_s=trial.seconds * 0.1)
            await trial.wait(0.2)

    return disturb


async def _device_killed(trial: Trial) -> None:
    """Kill a device twice while its outbox holds prompts: nobody above answers for a moment."""
    site, above = trial.site, trial.site.plan.above()
    await trial.wait(0.25)
    for _ in range(2):
        site.freeze(*above)
        await asyncio.sleep(_SILENT_S)
        site.kill("device-1")
        site.thaw(*above)
        await trial.wait(0.1)
        site.start("device-1")
        await trial.back()
        await trial.wait(0.2)


async def _machines_killed(trial: Trial) -> None:
    """Kill a machine of the edge, then the cloud's: three agents at one moment."""
    await trial.wait(0.2)
    trial.site.kill("edge-1")
    await trial.wait(0.1)
    trial.site.start("edge-1")
    await trial.wait(0.1)
    await trial.restart("cloud-1", down_s=trial.seconds * 0.1)


def _frozen(name: str) -> Callable[[Trial], Awaitable[None]]:
    async def disturb(trial: Trial) -> None:
        await trial.wait(0.15)
        trial.site.freeze(name)
        await asyncio.sleep(_FROZEN_S)
        trial.site.thaw(name)
        trial.heal()

    return disturb


async def _storm(trial: Trial) -> None:
    """Draw one blow after another, over links that lose, repeat and reorder meanwhile."""
    site, loop = trial.site, asyncio.get_running_loop()
    everybody = [*site.plan.processes(), "broker"]
    for proxy in site.proxies.values():
        proxy.faults = LinkFaults(lose=0.02, repeat=0.05, reorder=0.05)
    until_s = loop.time() + trial.seconds * 0.75
    while loop.time() < until_s:
        name, blow = trial.draw.choice(everybody), trial.draw.choice(("kill", "freeze", "cut"))
        if blow == "kill":
            site.kill(name)
            await asyncio.sleep(_STORM_DOWN_S)
            site.start(name)
        elif blow == "freeze":
            site.freeze(name)
            await asyncio.sleep(trial.draw.uniform(0.5, 2.0))
            site.thaw(name)
        elif name in site.proxies:
            site.proxies[name].cut()
        await asyncio.sleep(trial.draw.uniform(0.1, 0.6))
    for proxy in site.proxies.values():
        proxy.faults = LinkFaults()
    trial.heal()


async def _stopped(trial: Trial) -> None:
    """Ask every agent in turn to end, under load, and start it again."""
    for name in ("device-1", "edge-1", "cloud-1", "edge-2", "device-2"):
        await trial.wait(0.12)
        await trial.site.stop(name)
        trial.site.start(name)
    await trial.back()


_OTHERS = "another edge agent and the cloud are there"
FIRST_BACK = (
    "for a second after connections are back an edge agent may be there before the cloud is, and "
    "answers what it would send on"
)
_TOO_LATE = "those in hand when it froze: their 8 s are over when it goes on"
_NO_CLOUD = (
    "while no cloud agent is there the edge answers what it would send on, 30 % of 30 %; it is "
    "away, or starts, for "
)

SCENARIOS = (
    ChaosScenario("nothing", "nothing breaks", nothing, Allowed("nothing breaks"), seconds=8),
    ChaosScenario(
        "kill-device",
        "a device with prompts in its outbox is killed, twice",
        _device_killed,
        Allowed("it is back, and those above are, before a prompt's 8 s are over"),
    ),
    ChaosScenario(
        "kill-edge", "an edge agent is killed, twice", killed("edge-1"), Allowed(_OTHERS)
    ),
    ChaosScenario(
        "kill-cloud",
        "the cloud agent is killed, twice",
        killed("cloud-1"),
        Allowed(
            f"{_NO_CLOUD}a fifth of the time and two starts; as much again by chance",
            away=0.2,
            prompts=4,
        ),
    ),
    ChaosScenario(
        "every-task",
        "labels, entities and texts; a machine of the edge is killed, and then the cloud's",
        _machines_killed,
        Allowed(
            f"{_NO_CLOUD}a tenth of the time and a start; as much again by chance",
            away=0.2,
            prompts=4,
        ),
        Plan(tasks=TASKS, devices=1),
        rate_s=15,
        seconds=28,
        timeout_s=20,
    ),
    ChaosScenario(
        "kill-broker",
        "the broker is killed, twice",
        killed("broker"),
        Allowed(FIRST_BACK, prompts=12),
        loses_answers=True,
    ),
    ChaosScenario(
        "kill-all",
        "every agent and the broker are killed at one moment, twice",
        killed("device-1", "device-2", "edge-1", "edge-2", "cloud-1", "broker"),
        Allowed("an edge agent may be there a second or two before the cloud is", share=0.03),
        loses_answers=True,
    ),
    ChaosScenario(
        "freeze-device",
        "a device is frozen for 10 s",
        _frozen("device-1"),
        Allowed(_TOO_LATE, share=0.01),
        seconds=16,
    ),
    ChaosScenario(
        "freeze-edge",
        "an edge agent is frozen for 10 s",
        _frozen("edge-1"),
        Allowed(_OTHERS),
        seconds=16,
    ),
    ChaosScenario(
        "freeze-cloud",
        "the cloud agent is frozen for 10 s",
        _frozen("cloud-1"),
        Allowed(f"{_NO_CLOUD}10 of 16 s, and nobody else knows", share=0.07),
        seconds=16,
    ),
    ChaosScenario(
        "freeze-broker",
        "the broker is frozen for 10 s",
        _frozen("broker"),
        Allowed(_TOO_LATE, share=0.01),
        seconds=16,
        loses_answers=True,
    ),
    ChaosScenario(
        "stop-each",
        "every agent is asked to end (SIGTERM) under load, one after another, and started again",
        _stopped,
        Allowed(f"{_NO_CLOUD}a seventh of the time", share=0.02),
    ),
    ChaosScenario(
        "storm",
        "kills, freezes and cuts drawn at random, one after another, over lossy links",
        _storm,
        Allowed(f"{_NO_CLOUD}a third of the time", share=0.03),
        Plan(links=True),
        seconds=24,
        loses_answers=True,
    ),
)
