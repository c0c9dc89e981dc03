"""Runs one scenario: a site, a program that asks, what breaks, and then the ledger."""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from chaos.asker import Asker
from chaos.ledger import Ledger
from chaos.scenarios import Scenario, Trial
from chaos.site import Site

if TYPE_CHECKING:
    from pathlib import Path

_GRACE_S = 20.0


class Outcome(NamedTuple):
    """What became of one scenario; ``broken`` lists the promises that were not kept."""

    name: str
    says: str
    asked: int
    answered: dict[str, int]
    revised: int
    repeated: int
    suppressed: int
    deaths: int
    median_s: float
    worst_s: float
    recovery_s: float | None
    broken: list[str]

    def row(self) -> dict[str, Any]:
        """Return the outcome as plain values."""
        return self._asdict()


async def run(scenario: Scenario, folder: Path, seed: int, *, share: float = 1.0) -> Outcome:
    """Run a scenario for ``share`` of its time; ``folder`` keeps configurations and logs."""
    ledger = Ledger()
    seconds = scenario.seconds * share
    async with (
        Site(scenario.plan, folder, seed) as site,
        Asker(site.mqtt(), site.plan.names("device"), ledger, seed) as asker,
    ):
        trial = Trial(site, asker, ledger, seconds, healed_s=time.monotonic())
        asking = asker.ask_for(
            seconds,
            scenario.rate_s,
            timeout_s=scenario.timeout_s,
            pad_bytes=scenario.pad_bytes,
        )
        await asyncio.gather(asking, scenario.disturb(trial))
        await asker.until_answered(_GRACE_S + scenario.timeout_s)
        await asyncio.sleep(0.5)
        return _outcome(scenario, ledger, trial)


def _outcome(scenario: Scenario, ledger: Ledger, trial: Trial) -> Outcome:
    waits_s = ledger.waits_s() or [0.0]
    return Outcome(
        scenario.name,
        scenario.says,
        ledger.asked,
        dict(ledger.by_tier()),
        ledger.revised,
        ledger.repeated,
        ledger.suppressed,
        sum(trial.site.deaths.values()),
        float(np.median(waits_s)),
        max(waits_s),
        ledger.whole_again_s(trial.healed_s),
        ledger.close() + trial.faults,
    )
