"""What is done to a site while it is being asked: one function each, and a table of them all."""

from __future__ import annotations

import asyncio
import signal
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from chaos.proxy import Faults
from chaos.site import Plan, Site, read_letters

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from chaos.asker import Asker
    from chaos.ledger import Ledger

POISON = "the word that kills"
_FROZEN_S = 10.0
_POISON_S = 40.0
_ATTEMPTS = 3


@dataclass
class Trial:
    """One scenario under way; ``healed_s`` is when the last fault ended, on the monotonic clock."""

    site: Site
    asker: Asker
    ledger: Ledger
    seconds: float
    healed_s: float = 0.0
    faults: list[str] = field(default_factory=list)
    """What the scenario itself found wrong."""

    async def wait(self, share: float) -> None:
        """Let a share of the scenario's time pass."""
        await asyncio.sleep(self.seconds * share)

    def heal(self) -> None:
        """Note that from now on nothing is broken any more."""
        self.healed_s = time.monotonic()


@dataclass(frozen=True)
class Scenario:
    """A plan, a pace, and what happens meanwhile. ``timeout_s`` is what every question allows."""

    name: str
    says: str
    disturb: Callable[[Trial], Awaitable[None]]
    plan: Plan = field(default_factory=Plan)
    rate_s: float = 90.0
    seconds: float = 16.0
    timeout_s: float = 8.0
    pad_bytes: int = 0


async def _nothing(trial: Trial) -> None:
    trial.heal()
    await trial.wait(0)


def _killed(name: str) -> Callable[[Trial], Awaitable[None]]:
    async def disturb(trial: Trial) -> None:
        await trial.wait(0.25)
        for _ in range(2):
            trial.site.kill(name)
            await trial.wait(0.1)
            trial.site.start(name)
            trial.heal()
            await trial.wait(0.2)

    return disturb


async def _broker_killed(trial: Trial) -> None:
    await trial.wait(0.25)
    for _ in range(2):
        trial.site.kill("broker")
        await trial.wait(0.1)
        trial.site.start_broker()
        trial.heal()
        await trial.wait(0.2)


def _frozen(name: str) -> Callable[[Trial], Awaitable[None]]:
    async def disturb(trial: Trial) -> None:
        await trial.wait(0.15)
        trial.site.freeze(name)
        await asyncio.sleep(_FROZEN_S)
        trial.site.thaw(name)
        trial.heal()

    return disturb


async def _cut(trial: Trial) -> None:
    await trial.wait(0.2)
    for _ in range(4):
        for proxy in trial.site.proxies.values():
            proxy.cut()
        await trial.wait(0.15)
    trial.heal()


def _silent(*ways: str) -> Callable[[Trial], Awaitable[None]]:
    async def disturb(trial: Trial) -> None:
        await trial.wait(0.2)
        for name in ("edge-1", "device-1"):
            proxy = trial.site.proxies[name]
            proxy.faults = Faults(silent=frozenset(ways))  # type: ignore[arg-type] # our own words
            await asyncio.sleep(5.0)
            proxy.faults = Faults()
            proxy.cut()  # what a link swallowed is gone for good
            trial.heal()

    return disturb


async def _lossy(trial: Trial) -> None:
    for proxy in trial.site.proxies.values():
        proxy.faults = Faults(lose=0.05, repeat=0.1, reorder=0.1)
    await trial.wait(0.8)
    for proxy in trial.site.proxies.values():
        proxy.faults = Faults()
    trial.heal()


async def _poisoned(trial: Trial) -> None:
    await trial.wait(0.1)
    for number in (1, 2):
        trial.asker.ask(f"{POISON} {number}", timeout_s=_POISON_S)
    await trial.wait(0.9)
    trial.heal()
    await trial.asker.until_answered(_POISON_S)
    above = [*trial.site.plan.names("edge"), *trial.site.plan.names("cloud")]
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
    above = [*trial.site.plan.names("edge"), *trial.site.plan.names("cloud")]
    await trial.wait(0.1)
    trial.site.freeze(*above)
    await trial.wait(0.6)
    trial.site.thaw(*above)
    trial.heal()
    await trial.asker.until_answered(_POISON_S)
    if not any("room for prompts is full" in reason for reason in trial.ledger.reasons()):
        trial.faults.append("the outbox was never full: nothing was tried")


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
    Scenario("nothing", "nothing breaks", _nothing, seconds=10),
    Scenario("kill-device", "a device is killed, twice", _killed("device-1")),
    Scenario("kill-edge", "an edge agent is killed, twice", _killed("edge-1")),
    Scenario("kill-cloud", "the cloud agent is killed, twice", _killed("cloud-1")),
    Scenario("kill-broker", "the broker is killed, twice", _broker_killed),
    Scenario("freeze-device", "a device is frozen for 10 s", _frozen("device-1")),
    Scenario("freeze-edge", "an edge agent is frozen for 10 s", _frozen("edge-1")),
    Scenario("freeze-cloud", "the cloud agent is frozen for 10 s", _frozen("cloud-1")),
    Scenario("freeze-broker", "the broker is frozen for 10 s", _frozen("broker")),
    Scenario("cut", "every link is cut, four times", _cut, Plan(links=True)),
    Scenario(
        "black-hole", "links swallow everything for 5 s", _silent("up", "down"), Plan(links=True)
    ),
    Scenario("one-way", "links carry nothing back for 5 s", _silent("down"), Plan(links=True)),
    Scenario(
        "frames",
        "5 % of messages are lost, 10 % come twice, 10 % out of order",
        _lossy,
        Plan(links=True),
    ),
    Scenario(
        "poison",
        "two prompts kill every agent above that reads them",
        _poisoned,
        Plan(
            edges=1, trouble=_POISONED, settings={"device": {"tier": {"policy": {"kind": "pass"}}}}
        ),
        rate_s=30,
    ),
    Scenario(
        "slow-cloud", "the cloud agent takes ten times as long", _nothing, Plan(trouble=_SLOW)
    ),
    Scenario(
        "overload",
        "twice the load that edge and cloud can carry",
        _nothing,
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
        "crowd",
        "the broker is killed under 300 devices, twice: they all come back at once",
        _broker_killed,
        Plan(devices=300, crowd=True, settings={"device": {"heartbeat_s": 5.0}}),
    ),
    Scenario(
        "wrong-clock",
        "two clocks are an hour off, then the other way",
        _wrong_clock,
        Plan(trouble=_CLOCKS),
    ),
)
