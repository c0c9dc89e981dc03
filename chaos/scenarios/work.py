"""Prompts that kill, tiers that are slow or overloaded, full disks and wrong clocks."""

from __future__ import annotations

import asyncio
import signal
from typing import TYPE_CHECKING

from chaos import small_disk
from chaos.letters import read_letters
from chaos.plan import Plan
from chaos.scenarios.processes import killed
from chaos.trial import Scenario, Trial, nothing

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

POISON = "the word that kills"
_POISON_S = 40.0
_ATTEMPTS = 3


async def _poisoned(trial: Trial) -> None:
    await trial.wait(0.1)
    for number in (1, 2):
        trial.asker.ask(f"{POISON} {number}", timeout_s=_POISON_S)
    await trial.wait(0.9)
    trial.heal()
    await trial.asker.until_answered(_POISON_S)
    above = trial.site.plan.above()
    letters = await asyncio.to_thread(read_letters, trial.site.folder, above)
    deaths = sum(trial.site.deaths[agent] for agent in above)
    if not {f"{POISON} 1", f"{POISON} 2"} <= {str(letter["text"]) for letter in letters}:
        trial.faults.append(f"{len(letters)} dead letters: the two poison prompts are not there")
    if deaths > 2 * _ATTEMPTS * len(above):
        trial.faults.append(f"{deaths} deaths of two poison prompts, over {len(above)} agents")


async def _wrong_clock(trial: Trial) -> None:
    await trial.wait(0.4)
    trial.site.signal("edge-1", signal.SIGUSR1)
    trial.site.signal("device-1", signal.SIGUSR1)
    trial.heal()


async def _outbox_full(trial: Trial) -> None:
    above = trial.site.plan.above()
    await trial.wait(0.1)
    trial.site.freeze(*above)
    await trial.wait(0.6)
    trial.site.thaw(*above)
    trial.heal()
    await trial.asker.until_answered(_POISON_S)
    if not any("room for prompts is full" in reason for reason in trial.ledger.reasons()):
        trial.faults.append("the outbox was never full: nothing was tried")


def _disk_full(sign: str) -> Callable[[Trial], Awaitable[None]]:
    async def disturb(trial: Trial) -> None:
        await trial.wait(0.2)
        small_disk.fill(trial.site.disk)
        await trial.wait(0.4)
        small_disk.clear(trial.site.disk)
        trial.heal()
        logs = "".join(path.read_text(encoding="utf-8") for path in trial.site.folder.glob("*.log"))
        if sign not in logs:
            trial.faults.append(f"no log says {sign!r}: nothing was tried")

    return disturb


_SLOW: dict[str, tuple[str, ...]] = {"cloud-1": ("--slow-s", "0.1")}
_OVERLOADED: dict[str, tuple[str, ...]] = {
    "edge-1": ("--slow-s", "0.08"),
    "cloud-1": ("--slow-s", "0.2"),
}
_POISONED: dict[str, tuple[str, ...]] = dict.fromkeys(("edge-1", "cloud-1"), ("--poison", POISON))
_CLOCKS: dict[str, tuple[str, ...]] = {
    "edge-1": ("--clock-s", "3600"),
    "device-1": ("--clock-s", "-3600"),
}

SCENARIOS = (
    Scenario(
        "poison",
        "two prompts kill every agent above that reads them",
        _poisoned,
        Plan(
            edges=1, trouble=_POISONED, settings={"device": {"tier": {"policy": {"kind": "pass"}}}}
        ),
        rate_s=30,
        seconds=16,
    ),
    Scenario("slow-cloud", "the cloud agent takes ten times as long", nothing, Plan(trouble=_SLOW)),
    Scenario(
        "overload",
        "twice the load that edge and cloud can carry",
        nothing,
        Plan(edges=1, trouble=_OVERLOADED),
    ),
    Scenario(
        "outbox-full",
        "an outbox of 1 MB, prompts of 8 kB, nobody above answers",
        _outbox_full,
        Plan(settings={"device": {"outbox": {"megabytes": 1}}}),
        pad_bytes=8_000,
    ),
    Scenario(
        "disk-full-device",
        "the disk of the devices is full to the last byte for a while",
        _disk_full("disk"),
        Plan(small_disk="device"),
        seconds=12,
    ),
    Scenario(
        "disk-full-edge",
        "the disk of the edge agents is full to the last byte for a while",
        _disk_full("disk"),
        Plan(small_disk="edge"),
        seconds=12,
    ),
    Scenario(
        "crowd",
        "the broker is killed under 300 devices, twice: they all come back at once",
        killed("broker"),
        Plan(devices=300, crowd=True, settings={"device": {"heartbeat_s": 5.0}}),
        rate_s=45,
        loses_answers=True,
    ),
    Scenario(
        "wrong-clock",
        "two clocks are an hour off, then the other way",
        _wrong_clock,
        Plan(trouble=_CLOCKS),
    ),
)
