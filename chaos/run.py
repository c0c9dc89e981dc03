"""Runs one scenario: a site, a program that asks, what breaks, and then the ledger."""

from __future__ import annotations

import asyncio
import random
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from chaos.accounts import open_accounts, tracebacks
from chaos.asker import CarefulAsker
from chaos.disks import NoDisk
from chaos.ledger import Ledger
from chaos.site import ChaosSite
from chaos.trial import Trial

if TYPE_CHECKING:
    from pathlib import Path

    from chaos.trial import ChaosScenario

_GRACE_S = 20.0
_ACCOUNTS_S = 5.0


class Outcome(NamedTuple):
    """What became of one scenario; ``broken`` lists the promises that were not kept.

    ``skipped`` says why it could not be run here, empty if it could. ``most_degraded`` answers were
    allowed to be, and ``allows`` says so with the reason.
    """

    name: str
    says: str
    asked: int = 0
    answered: dict[str, int] = {}  # noqa: RUF012 - never changed
    revised: int = 0
    repeated: int = 0
    suppressed: int = 0
    deaths: int = 0
    median_s: float = 0.0
    worst_s: float = 0.0
    recovery_s: float | None = None
    broken: tuple[str, ...] = ()
    skipped: str = ""
    most_degraded: int = 0
    allows: str = ""

    def row(self) -> dict[str, Any]:
        """Return the outcome as plain values."""
        return self._asdict()


async def run(scenario: ChaosScenario, folder: Path, seed: int, *, share: float = 1.0) -> Outcome:
    """Run a scenario for ``share`` of its time; ``folder`` keeps configurations and logs."""
    ledger = Ledger()
    site = ChaosSite(scenario.plan, folder, seed)
    try:
        async with site:
            trial = await _try(scenario, site, ledger, seed, share)
    except NoDisk as error:
        allows = scenario.allowed.says()
        return Outcome(scenario.name, scenario.says, skipped=str(error), allows=allows)
    trial.faults += [*site.faults, *tracebacks(folder)]
    return _outcome(scenario, ledger, trial)


async def _try(
    scenario: ChaosScenario, site: ChaosSite, ledger: Ledger, seed: int, share: float
) -> Trial:
    seconds = scenario.seconds * share
    devices, trusts = site.plan.names("device"), not scenario.loses_answers
    async with CarefulAsker(site.mqtt(), devices, ledger, seed, trusts_receipts=trusts) as asker:
        draw = random.Random(seed)  # noqa: S311 - draws faults, guards nothing
        trial = Trial(site, asker, ledger, seconds, scenario.timeout_s, draw)
        trial.heal()
        asking = asker.ask_for(
            seconds,
            scenario.rate_s,
            timeout_s=scenario.timeout_s,
            pad_bytes=scenario.pad_bytes,
            texts=scenario.texts,
        )
        await asyncio.gather(asking, scenario.disturb(trial))
        await asker.until_answered(_GRACE_S + scenario.timeout_s)
        await site.all_online()
        await asyncio.sleep(0.5)
        trial.faults += await open_accounts(site.metrics, _ACCOUNTS_S)
        return trial


def _outcome(scenario: ChaosScenario, ledger: Ledger, trial: Trial) -> Outcome:
    waits_s = ledger.waits_s() or [0.0]
    return Outcome(
        scenario.name,
        scenario.says,
        asked=ledger.asked,
        answered=dict(ledger.by_tier()),
        revised=ledger.revised,
        repeated=ledger.repeated,
        suppressed=ledger.suppressed,
        deaths=sum(trial.site.deaths.values()),
        median_s=float(np.median(waits_s)),
        worst_s=max(waits_s),
        recovery_s=ledger.whole_again_s(trial.healed_s),
        broken=(
            *ledger.close(),
            *scenario.allowed.broken_by(ledger, trial.settled_s),
            *trial.faults,
        ),
        most_degraded=scenario.allowed.most(ledger.asked, ledger.asked_away),
        allows=scenario.allowed.says(),
    )
