"""Every accepted prompt is answered in its time, whatever the task that holds it comes to."""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING, Any

import pytest

from shared.agent.settings import UpstreamSettings
from shared.messages import Failure
from tests.support.cascades import EASY, HARD, Cascade, cascade
from tests.support.wires import MemoryWire, eventually

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from device_agent import Device
    from shared.messages import Result

TIME_S = 1.0
SLACK_S = 1.0
PATIENT = UpstreamSettings(patience_s=20, retry_min_s=5, retry_max_s=8)
STEPS = {
    # what holds the prompt: (its task, what it waits in)
    "being judged": ("Device._process", "parts.batcher.solve"),
    "being stored": ("DeliveryDriver._store", "delivery._outbox.store"),
    "being sent": ("DeliveryDriver._send", "parts.bus.publish"),
    "being settled": ("DeliveryDriver._resolve", "delivery._outbox.resolve"),
}


@pytest.fixture
async def tiers() -> AsyncIterator[Cascade]:
    async with cascade(MemoryWire()) as running:
        yield running


async def stand_still(device: Device, step: str, monkeypatch: pytest.MonkeyPatch) -> asyncio.Event:
    """Let what a step waits in come to no end; the event tells that it has begun."""
    begun = asyncio.Event()
    *path, name = STEPS[step][1].split(".")
    holder: Any = device
    for part in path:
        holder = getattr(holder, part)

    async def never(*_args: Any, **_how: Any) -> None:
        begun.set()
        await asyncio.Event().wait()

    monkeypatch.setattr(holder, name, never)
    return begun


async def ask(device: Device) -> tuple[Result, float]:
    started_s = time.monotonic()
    result = await device.ask(HARD, timeout_s=TIME_S)
    return result, time.monotonic() - started_s


@pytest.mark.parametrize("step", STEPS)
async def test_a_step_that_stands_still_does_not_keep_an_asker_waiting(
    tiers: Cascade, step: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    await tiers.edge()
    device = await tiers.device(upstream=PATIENT)
    begun = await stand_still(device, step, monkeypatch)

    result, took_s = await ask(device)

    assert begun.is_set()
    assert took_s < TIME_S + SLACK_S
    if step == "being judged":
        assert isinstance(result.outcome, Failure)
        assert result.outcome.code == "expired"
    elif step != "being settled":
        assert result.degraded
    await all_is_well(device, monkeypatch)


@pytest.mark.parametrize("step", STEPS)
async def test_a_step_whose_task_is_killed_does_not_keep_an_asker_waiting(
    tiers: Cascade, step: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    await tiers.edge()
    device = await tiers.device(upstream=PATIENT)
    begun = await stand_still(device, step, monkeypatch)
    asking = asyncio.ensure_future(ask(device))
    await begun.wait()
    held_by = [task for task in asyncio.all_tasks() if STEPS[step][0] in repr(task.get_coro())]
    assert held_by
    for task in held_by:
        task.cancel()

    result, took_s = await asking

    assert took_s < TIME_S + SLACK_S
    assert result.degraded or isinstance(result.outcome, Failure) or step == "being settled"
    await all_is_well(device, monkeypatch)


async def all_is_well(device: Device, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing is left of that prompt, and the next one is answered as ever."""
    monkeypatch.undo()
    await eventually(lambda: len(device.delivery._delivery) == 0)
    assert len(device.delivery.pending) == 0
    assert (await device.ask(EASY)).tier == "device"


async def test_a_clock_that_somebody_ends_goes_on(tiers: Cascade) -> None:
    device = await tiers.device(upstream=PATIENT, knows_above=False)
    watch = device.delivery._watch
    assert watch is not None
    watch.task.cancel()
    result, took_s = await ask(device)
    assert result.degraded == "no better answer came in time"
    assert took_s < TIME_S + SLACK_S


@pytest.mark.parametrize("timeout_s", [float("nan"), "soon"])
async def test_a_time_that_is_no_number_fails_alone(tiers: Cascade, timeout_s: Any) -> None:
    device = await tiers.device(upstream=PATIENT, knows_above=False)
    with pytest.raises(Exception, match="timeout_s is a number"):
        await device.ask(HARD, timeout_s=timeout_s)
    with pytest.raises(Exception, match="priority is a whole number"):
        await device.ask(HARD, priority=float("nan"))  # type: ignore[arg-type]
    result, took_s = await ask(device)
    assert result.degraded
    assert took_s < TIME_S + SLACK_S
    forever = asyncio.ensure_future(device.ask(HARD, timeout_s=float("inf")))
    assert (await ask(device))[1] < TIME_S + SLACK_S
    forever.cancel()
