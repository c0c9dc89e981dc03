"""The process that trains, as whoever orders it sees it."""

from __future__ import annotations

import asyncio
import os
import sys
from pathlib import Path

import pytest

from edge_agent.nights.folder import NightFolder, NightOrder, NightOutcome
from edge_agent.nights.settings import NightSettings
from edge_agent.nights.trainer import train
from shared.runtimes import ModelSettings
from tests.support.wires import eventually


def children() -> set[str]:
    """Return the processes that this one began."""
    pid = os.getpid()
    return set(Path(f"/proc/{pid}/task/{pid}/children").read_text().split())


def order_night(state: Path) -> NightFolder:
    nights = NightFolder(state)
    nights.write_order(
        NightOrder(
            number=1,
            day="2026-03-02",
            ordered_s=1.0,
            memory=str(state / "memory.db"),
            model=ModelSettings(source=str(state / "nowhere")),
            own="",
            warm=0,
            night=NightSettings(base="base"),
        )
    )
    return nights


async def test_what_goes_wrong_in_the_process_is_its_outcome_in_one_line(tmp_path: Path) -> None:
    nights = order_night(tmp_path)
    outcome = await train(nights, 1)

    assert outcome.verdict == "failed"
    assert "nowhere" in outcome.why
    assert "\n" not in outcome.why
    assert nights.outcome(1) == outcome
    assert outcome.seconds > 1e9, "since it was ordered, and not of its last process alone"


async def test_a_night_that_another_process_has_held_meanwhile_is_not_held_again(
    tmp_path: Path,
) -> None:
    nights = order_night(tmp_path)
    outcome = NightOutcome(number=1, verdict="passed", bundle="digest")
    nights.write_outcome(outcome)

    assert await train(nights, 1) == outcome


async def test_an_order_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    nights = order_night(tmp_path)
    (nights.of(1) / "order.json").write_text("no order")
    outcome = await train(nights, 1)

    assert outcome.verdict == "failed"
    assert "0001/order.json: cannot be read" in outcome.why


@pytest.mark.skipif(sys.platform != "linux", reason="looks at /proc")
async def test_an_agent_that_stops_stops_it_and_the_night_stays_unfinished(tmp_path: Path) -> None:
    nights, before = order_night(tmp_path), children()
    training = asyncio.create_task(train(nights, 1))
    await eventually(lambda: bool(children() - before), "the process")
    training.cancel()
    await asyncio.gather(training, return_exceptions=True)

    assert children() <= before
    assert nights.unfinished == 1
