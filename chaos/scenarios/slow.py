"""Tiers that are slow, and tiers that are asked for more than they can carry."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

from chaos.accounts import sent_again
from chaos.allowed import Allowed
from chaos.noise import Noise, prompt_of, send_all
from chaos.plan import Plan
from chaos.trial import ChaosScenario, Trial, nothing
from chaos.troubled import begun_of
from shared.bus.mqtt.bus import MqttBus

if TYPE_CHECKING:
    from chaos.noise import Made
    from chaos.plan import Role

_ANSWERED_S = 90.0
_REPEATS_EACH = 3.0
"""Repeats of a prompt, in the mean, that are no storm: the first prompts do not know how long
answers take, and are repeated at 0.5, 1.5 and 3.5 s; later ones hardly."""
_BURST = 60
_FROZEN_S = 8.0
_FLOOD_S = 150.0
_FLOOD_TEXT = "valve pump " * 8
_TEXTS = 12
_TEXT_S = 40.0
_DEAF = "deaf connection"
_NO_FAULT = "slow is not dead: all that is asked can be carried in its time"


async def _no_storm(trial: Trial) -> None:
    trial.heal()
    await trial.wait(1.0)
    await trial.asker.until_answered(_ANSWERED_S)
    tiers = trial.ledger.by_tier()
    went_up = tiers["edge"] + tiers["cloud"]
    repeats = await sent_again(trial.site.metrics.values())
    if repeats > _REPEATS_EACH * went_up:
        trial.faults.append(f"{repeats} repeats of {went_up} prompts that went up: a storm")


async def _burst(trial: Trial) -> None:
    trial.heal()
    await trial.wait(0.2)
    for number in range(_BURST):
        trial.asker.ask(f"all at once, remark {number}", timeout_s=20)


async def _frozen(trial: Trial) -> None:
    await trial.wait(0.15)
    trial.site.freeze("edge-2")
    await asyncio.sleep(_FROZEN_S)
    trial.site.thaw("edge-2")
    trial.heal()


async def _heard(trial: Trial) -> None:
    """Watch an agent that is asked four times what it can carry: it must stay connected."""
    trial.heal()
    await trial.wait(1.0)
    await trial.asker.until_answered(_ANSWERED_S)
    if _DEAF in trial.site.logs():
        trial.faults.append("the overloaded agent took its connection for deaf")
    worst_s = max(trial.ledger.waits_s())
    if worst_s > 0.9 * trial.timeout_s:
        trial.faults.append(f"somebody waited {worst_s:.1f} s before he heard `busy`")


async def _flooded(trial: Trial) -> None:
    bus = MqttBus(trial.site.mqtt(), "chaos-hostile")
    await bus.start()
    await bus.wait_connected(10)
    await trial.wait(0.1)
    sent = await send_all(bus, [Noise("", _FLOOD_S, _hostile)], trial.seconds * 0.7)
    await bus.close()
    trial.heal()
    if sent < _FLOOD_S * trial.seconds * 0.35:
        trial.faults.append(f"{sent} prompts are no flood: nothing was tried")


async def _begun_once(trial: Trial) -> None:
    """Ask for texts that are longer under way than every retry, and count where they were begun."""
    trial.heal()
    device, *_ = trial.site.plan.names("device")
    for number in range(_TEXTS):
        trial.asker.ask(f"Two dogs run after ball {number}.", timeout_s=_TEXT_S, device=device)
    await trial.asker.until_answered(_TEXT_S)
    if not await sent_again(trial.site.metrics.values()):
        trial.faults.append("nobody met silence: nothing was tried")
    begun = {agent: begun_of(trial.site.log(agent)) for agent in trial.site.plan.names("edge")}
    times = [count for counts in begun.values() for count in counts.values()]
    if max(times, default=0) != 1 or len(times) < _TEXTS:
        trial.faults.append(f"{_TEXTS} texts, begun at the agents above: {begun}")


def _hostile(number: int) -> Made:
    return prompt_of("hostile", "edge-1", f"{number} {_FLOOD_TEXT}")


_SLOW: dict[str, tuple[str, ...]] = {"cloud-1": ("--slow-s", "0.1")}
_HEALTHY: dict[str, tuple[str, ...]] = {
    "edge-1": ("--batch-s", "3"),
    "edge-2": ("--batch-s", "3"),
    "cloud-1": ("--batch-s", "10"),
}
_OVERLOADED: dict[str, tuple[str, ...]] = {
    "edge-1": ("--slow-s", "0.08"),
    "cloud-1": ("--slow-s", "0.2"),
}
_MOSTLY_EDGE: dict[Role, dict[str, Any]] = {
    "device": {"tier": {"policy": {"kind": "pass"}}},
    "edge": {"tier": {"policy": {"kind": "quantile", "beta": 0.1}}},
}
_ALONE: dict[Role, dict[str, Any]] = {
    "device": {"tier": {"policy": {"kind": "pass"}, "beyond": []}},
    "edge": {"tier": {"policy": {"kind": "keep"}}},
}
_PATIENT: dict[Role, dict[str, Any]] = {
    "device": _ALONE["device"] | {"upstream": {"retry_max_s": 1.0}},
    "edge": _ALONE["edge"],
}

SCENARIOS = (
    ChaosScenario(
        "slow-cloud",
        "the cloud agent takes ten times as long",
        nothing,
        Allowed("it takes 0.1 s, and a prompt has 8"),
        Plan(trouble=_SLOW),
    ),
    ChaosScenario(
        "slow-healthy-tier",
        "every prompt goes up, edge agents take 3 s and the cloud agent 10; default settings",
        _no_storm,
        Allowed(_NO_FAULT),
        Plan(hasty=False, trouble=_HEALTHY, settings=_MOSTLY_EDGE),
        rate_s=1,
        seconds=40,
        timeout_s=90,
    ),
    ChaosScenario(
        "queue",
        "sixty questions at one moment for one agent that takes 0.1 s: a queue of 6 s",
        _burst,
        Allowed(_NO_FAULT),
        Plan(edges=1, trouble={"edge-1": ("--slow-s", "0.1")}, settings=_ALONE),
        rate_s=3,
        seconds=12,
        timeout_s=20,
    ),
    ChaosScenario(
        "slow-and-frozen",
        "of two edge agents one takes half a second, and the other is frozen for 8 s",
        _frozen,
        Allowed("the slow one can carry all of it, and a prompt has 20 s"),
        Plan(trouble={"edge-1": ("--batch-s", "0.5")}),
        rate_s=30,
        seconds=16,
        timeout_s=20,
    ),
    ChaosScenario(
        "overload",
        "twice the load that edge and cloud can carry",
        nothing,
        Allowed("half of the 30 % that go up cannot be carried", share=0.18, lasting=True),
        Plan(edges=1, trouble=_OVERLOADED),
    ),
    ChaosScenario(
        "overloaded-heartbeat",
        "one agent is asked four times what it can carry, heartbeats of a second",
        _heard,
        Allowed("three in four cannot be carried", share=0.8, lasting=True),
        Plan(edges=1, trouble={"edge-1": ("--slow-s", "0.1")}, settings=_ALONE),
        rate_s=40,
    ),
    ChaosScenario(
        "flood",
        "one device sends an edge agent three times what it can carry; others ask as usual",
        _flooded,
        Allowed("origins have their turns, and the others ask for less than theirs"),
        Plan(
            edges=1,
            trouble={"edge-1": ("--slow-s", "0.02")},
            settings={"edge": {"limits": {"device_prompts_s": 1000.0}}},
        ),
        rate_s=40,
    ),
    ChaosScenario(
        "long-texts",
        "texts are under way for 5 s, and what is silent for a second is sent again",
        _begun_once,
        Allowed("slow is not dead, and no text is begun twice at one agent"),
        Plan(
            tasks=("generate",),
            devices=1,
            clouds=0,
            trouble=dict.fromkeys(("edge-1", "edge-2"), ("--batch-s", "5", "--tells")),
            settings=_PATIENT,
        ),
        rate_s=0,
        seconds=1,
        timeout_s=_TEXT_S,
    ),
)
