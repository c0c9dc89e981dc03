"""Edge agents that remember, under what kills them and what parts them from the rest."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Final

from chaos.allowed import Allowed
from chaos.plan import Plan, memory_of
from chaos.questions import texts_of
from chaos.remembered import broken_by_kill, read_memory
from chaos.scenarios.processes import FIRST_BACK
from chaos.trial import ChaosScenario, Trial

if TYPE_CHECKING:
    from chaos.remembered import OnDisk

_ALL_UP: Final = {"tier": {"policy": {"kind": "pass"}}}
_LEAST: Final = 0.25
"""Share of the answers that come from memory, at least: else the memory was not tried."""
_ASKED_AGAIN: Final = 20
_ANSWERED_S: Final = 30.0


async def _edges_remember(trial: Trial) -> None:
    """Kill an edge and cut every link as it comes back; then kill it together with the broker."""
    await trial.wait(0.25)
    await _restart(trial, "edge-1")
    await trial.wait(0.1)
    await _restart(trial, "edge-1", "broker")
    for text in texts_of("classify")[:_ASKED_AGAIN]:
        trial.asker.ask(text, timeout_s=trial.timeout_s, device="device-1")
    await trial.wait(0.15)
    await trial.asker.until_answered(_ANSWERED_S)
    answered, given = trial.ledger.asked, trial.ledger.remembered()
    again = trial.ledger.remembered(asked_after_s=trial.settled_s)
    if sum(given.values()) < _LEAST * answered or not again["edge-1"]:
        trial.faults.append(f"of {answered} only {given} are from memory: nothing was tried")


async def _restart(trial: Trial, machine: str, *others: str) -> None:
    """Kill a machine of the edge, and hold what its agents remember against what they did."""
    agents = trial.site.plan.at(machine)
    before = [await _read(trial, agent) for agent in agents]
    killed_s = time.monotonic()
    trial.site.kill(machine, *others)
    for agent, known in zip(agents, before, strict=True):
        broken = broken_by_kill(known, await _read(trial, agent))
        trial.faults += [f"{agent}: {sentence}" for sentence in broken]
    await trial.wait(0.05)
    for name in (*others, machine):
        trial.site.start(name)
    for proxy in trial.site.proxies.values():
        proxy.cut()
    await trial.back()
    trial.ledger.away.append((killed_s, trial.settled_s))


async def _read(trial: Trial, agent: str) -> OnDisk:
    return await read_memory(memory_of(trial.site.state, agent))


SCENARIOS = (
    ChaosScenario(
        "memory",
        "edge agents remember, and most is asked again: one is killed, every link cut as it comes "
        "back, and it is killed again with the broker",
        _edges_remember,
        Allowed(f"all goes up, and {FIRST_BACK}", share=0.06),
        Plan(links=True, remembers=True, settings={"device": _ALL_UP, "edge": _ALL_UP}),
        rate_s=45,
        loses_answers=True,
        texts=60,
    ),
)
