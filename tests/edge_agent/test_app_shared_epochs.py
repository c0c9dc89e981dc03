"""Two edges that share entries, over a real broker: what makes an answer old is heard by both.

Printed is how long that takes; asserted is what comes after what.
"""

from __future__ import annotations

import asyncio
import contextlib
import sys
import time
from functools import partial
from typing import TYPE_CHECKING

import pytest

from edge_agent.app import remembering
from edge_agent.memory.settings import MemorySettings
from recserve.memory_client import Place, begin_epoch
from shared.tasks import Request
from tests.support.cascades import Cascade, cascade
from tests.support.embedders import write_embedder
from tests.support.processes import BrokerProcess, skip_without_program
from tests.support.wires import MqttWire, eventually

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable
    from pathlib import Path

pytest.importorskip("onnx")
QUESTION = "Is the film a b good?"
EDGES = ("edge-1", "edge-2")
_LIMIT_S = 60.0


class Site:
    """A cascade of a cloud, two edges that share what they remember, and a device."""

    def __init__(self, tiers: Cascade, wire: MqttWire) -> None:
        self.tiers = tiers
        self.wire = wire

    async def remembers(self, edge: str) -> bool:
        """Return whether an edge's own memory answers the question."""
        solver = self.tiers.parts[edge].station.solver
        scored = await solver.solve(
            Request("classify", QUESTION), deadline_s=time.monotonic() + _LIMIT_S
        )
        return scored.way == "memory"

    async def ask_until_both_remember(self) -> None:
        """Ask the device until each edge has had the answer confirmed, by whomever."""
        device = self.tiers.devices["device-1"]
        for _ in range(20):
            await device.ask(QUESTION)
            await asyncio.sleep(0.1)
            if all([await self.remembers(edge) for edge in EDGES]):
                return
        pytest.fail("the edges do not remember what they were told again and again")

    async def both_stop(self, what: str, happens: Awaitable[None]) -> None:
        """Let something happen, and return once no edge gives the answer; none gives it again."""
        stops = [asyncio.ensure_future(self._stops(edge)) for edge in EDGES]
        await asyncio.sleep(0.05)
        assert not any(each.done() for each in stops)
        began_s = time.monotonic()
        await happens
        stopped_s = await asyncio.gather(*stops)
        for edge, moment_s in zip(EDGES, stopped_s, strict=True):
            took_s = moment_s - began_s
            sys.stdout.write(f"{what}: {edge} gave the old answer no more after {took_s:.3f} s\n")
            assert moment_s > began_s
        assert not any([await self.remembers(edge) for edge in EDGES * 10])

    async def _stops(self, edge: str) -> float:
        deadline_s = time.monotonic() + _LIMIT_S
        while await self.remembers(edge):
            assert time.monotonic() < deadline_s, f"{edge} gives the old answer for ever"
            await asyncio.sleep(0.002)
        return time.monotonic()


@pytest.fixture
async def site(tmp_path: Path) -> AsyncIterator[Site]:
    skip_without_program("mosquitto", "mosquitto")
    broker = BrokerProcess("mosquitto", tmp_path / "broker").start()
    wire = MqttWire(broker)
    memory = MemorySettings(
        embedder=str(write_embedder(tmp_path / "embedder")),
        share=True,
        check_share=0.0,
        patience_s=10.0,
    )
    async with contextlib.AsyncExitStack() as stack:
        tiers = await stack.enter_async_context(cascade(wire))
        await tiers.cloud()
        for name in EDGES:
            await tiers.edge(name, running=partial(remembering, memory=memory))
        await tiers.device()
        await _sees(tiers, {"cloud-1"})
        yield Site(tiers, wire)
    await wire.close()
    broker.kill()


async def _sees(tiers: Cascade, models: set[str]) -> None:
    """Return once each edge knows that these models answer above, and no other does."""
    for edge in EDGES:
        choice = tiers.parts[edge].station.above.choice
        await eventually(
            lambda choice=choice: (
                {  # type: ignore[misc] # bound now
                    model for model, _ in choice.models("classify", time.monotonic())
                }
                == models
            ),
            f"{edge} seeing {models}",
        )


async def test_an_epoch_holds_at_both_and_the_cloud_is_asked_again(site: Site) -> None:
    await site.ask_until_both_remember()
    asked = len(site.tiers.models["cloud-1"].seen)
    assert (await site.tiers.devices["device-1"].ask(QUESTION)).tier == "edge"
    assert len(site.tiers.models["cloud-1"].seen) == asked < 2 * len(EDGES)
    place = Place(
        config=None, host="127.0.0.1", port=site.wire.broker.port, root=site.wire.root,
        embedder="", timeout_s=30.0,
    )  # fmt: skip
    await site.both_stop("an epoch", asyncio.to_thread(begin_epoch, time.time(), place))

    assert (await site.tiers.devices["device-1"].ask(QUESTION)).tier == "cloud"
    assert len(site.tiers.models["cloud-1"].seen) == asked + 1
    await site.ask_until_both_remember()


async def test_a_new_model_above_makes_the_answers_of_the_old_one_none(site: Site) -> None:
    await site.ask_until_both_remember()
    await site.tiers.cloud("cloud-2")
    await _sees(site.tiers, {"cloud-1", "cloud-2"})

    async def replaced() -> None:
        site.tiers.kill("cloud-1")

    await site.both_stop("a new model", replaced())
    assert (await site.tiers.devices["device-1"].ask(QUESTION)).tier == "cloud"
    await site.ask_until_both_remember()
    assert len(site.tiers.models["cloud-2"].seen) < 2 * len(EDGES)
