"""The nights of a running edge: real bundles in a real slot, and a training that a test rules."""

from __future__ import annotations

import asyncio
import contextlib
import shutil
import time
from typing import TYPE_CHECKING, Any

import msgspec
import pytest

from edge_agent.memory.entries import Entry
from edge_agent.nights.belief import order_next
from edge_agent.nights.folder import NightFolder, NightOrder, NightOutcome, NightRow, NightRows
from edge_agent.nights.keeper import NightKeeper
from edge_agent.nights.settings import NightSettings
from shared.agent.run import serving
from shared.runtimes import ModelSettings
from shared.tasks import Request
from shared.tasks.classify import Label
from tests.support.cascades import edge_settings
from tests.support.tiny_models import write_bundle
from tests.support.wires import MemoryWire, eventually

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Collection, Mapping
    from pathlib import Path

    from shared.agent.build import AgentParts
    from shared.messages import Scored
    from shared.runtimes.bundle import Bundle

pytest.importorskip("onnx")
TEXT = "good"
OTHER_WAY = {"good": (0, 2.0), "bad": (1, 2.0)}


class CountedWing:
    """What the keeper asks of a memory: how much there is to learn, and to let go of entries."""

    def __init__(self) -> None:
        self.waiting = 0
        self.broken = 0
        """How often it does not say what waits."""
        self.gone: list[int] = []
        self.told: list[Mapping[str, float | str]] = []
        self.learned: list[Entry] = []
        self.probes: list[tuple[int, str]] = []
        self.looks = 0

    def note_night(self, told: Mapping[str, float | str]) -> None:
        self.told.append(told)

    async def learnable(self, task: str, since_s: float) -> tuple[int, int]:
        del task, since_s
        self.looks += 1
        if self.broken:
            self.broken -= 1
            raise OSError("no file is left to open")
        return self.waiting, self.waiting

    async def to_probe(self, share: float) -> list[Entry]:
        assert share == 0.02
        return self.learned

    async def probed(self, entry: Entry, said: str) -> bool:
        self.probes.append((entry.id, said))
        return said == entry.answer

    async def internalise(
        self, learned: Mapping[int, float], taught: Collection[int], by: str
    ) -> None:
        assert by
        assert set(learned) <= set(taught)
        self.gone += learned


class KeptNights:
    """An edge agent with a keeper whose nights end as a test says."""

    def __init__(
        self, parts: AgentParts, own: Bundle, state: Path, changes: dict[str, Any]
    ) -> None:
        self.parts = parts
        self.nights = NightFolder(state)
        self.wing = CountedWing()
        self.verdict = "passed"
        self.lost = False
        """Whether a night's bundle is gone by the time that it is to be served."""
        self.held: list[int] = []
        self.settings = NightSettings(base="base", after=1, least=1, **changes)
        self._own = ModelSettings(source=str(own.folder))
        self.keeper = self.keep()

    def keep(self) -> NightKeeper:
        """Return a keeper, as a process that begins anew has one."""
        return NightKeeper(
            self.settings,
            self._own,
            self.nights,
            self.wing,  # type: ignore[arg-type] # as much of one as is asked for
            training=self.hold,
            look_s=0.01,
        )

    async def answer(self) -> str:
        """Ask the agent's model."""
        scored: Scored = await self.parts.station.solver.solve(
            Request("classify", TEXT), deadline_s=time.monotonic() + 10
        )
        assert isinstance(scored.answer, Label)
        return scored.answer.label

    def order(self, **changes: Any) -> NightOrder:
        """Order a night, as an agent does that is killed then."""
        order = order_next(self.nights, self.settings, self._own)
        self.nights.write_order(msgspec.structs.replace(order, **changes))
        return order

    async def hold(self, nights: NightFolder, number: int) -> NightOutcome:
        """Hold a night, unless it was held before."""
        if (known := nights.outcome(number)) is not None:
            return known
        self.held.append(number)
        self.wing.waiting = 0
        nights.write_rows(number, NightRows(new=(NightRow(entry=7, answer="x"),), old=()))
        bundle = write_bundle(nights.bundle(number), name="learned", words=OTHER_WAY)
        outcome = NightOutcome(
            number=number,
            verdict=self.verdict,  # type: ignore[arg-type] # one of them
            why="" if self.verdict == "passed" else "old knowledge 0.1, and 0.9 is the bound",
            learned={7: 1.0},
            bundle=bundle.digest,
        )
        nights.write_outcome(outcome)
        if self.lost:
            shutil.rmtree(bundle.folder)
        return outcome


@contextlib.asynccontextmanager
async def kept(tmp_path: Path, **changes: Any) -> AsyncIterator[KeptNights]:
    own = write_bundle(tmp_path / "own", name="own")
    settings = edge_settings(MemoryWire(), model=ModelSettings(source=str(own.folder)))
    wire = MemoryWire()
    async with serving(settings, connect=wire.connect) as parts:
        nights = KeptNights(parts, own, tmp_path / "state", changes)
        (tmp_path / "state").mkdir()
        running = asyncio.create_task(nights.keeper.run(parts))
        try:
            yield nights
        finally:
            running.cancel()
            await asyncio.gather(running, return_exceptions=True)


async def test_a_night_that_passes_is_served_and_then_the_memory_lets_go(tmp_path: Path) -> None:
    async with kept(tmp_path, watch_s=0.0) as nights:
        before = await nights.answer()
        nights.wing.waiting = 1
        await eventually(lambda: nights.wing.gone == [7], "the memory to let go")

        assert await nights.answer() != before
        believed = nights.nights.believed
        assert believed is not None
        assert (believed.night, believed.watched) == (1, False)


async def test_the_exchange_under_load_fails_no_prompt(tmp_path: Path) -> None:
    async with kept(tmp_path, watch_s=0.0) as nights:
        nights.wing.waiting = 1
        answers: list[str] = []
        while not nights.wing.gone or len(answers) < 200:
            answers += await asyncio.gather(*(nights.answer() for _ in range(20)))

        assert len(set(answers)) == 2
        assert answers == sorted(answers, key=lambda answer: answer != answers[0])


async def test_a_night_that_a_gate_rejects_is_never_served(tmp_path: Path) -> None:
    async with kept(tmp_path) as nights:
        before, nights.verdict = await nights.answer(), "rejected"
        nights.wing.waiting = 1
        await eventually(lambda: nights.nights.outcome(1) is not None if nights.held else False)
        nights.wing.waiting, nights.verdict = 1, "rejected"
        await eventually(lambda: len(nights.held) == 2, "a second night")

        assert await nights.answer() == before
        assert nights.nights.believed is None
        assert nights.wing.gone == []
        assert [told["verdict"] for told in nights.wing.told] == ["rejected", "rejected"]


async def test_a_model_that_does_worse_is_taken_back(tmp_path: Path) -> None:
    async with kept(tmp_path, watch_s=1_000.0) as nights:
        before = await nights.answer()
        for _ in range(60):
            nights.keeper.compare(same=True)
        nights.wing.waiting = 1
        await eventually(lambda: nights.nights.believed is not None, "the exchange")
        assert await nights.answer() != before
        for _ in range(30):
            nights.keeper.compare(same=False)
        await eventually(lambda: nights.nights.believed.night == 0, "the way back")  # type: ignore[union-attr]

        assert await nights.answer() == before
        assert nights.wing.gone == []


async def test_a_night_that_was_broken_off_is_held_again(tmp_path: Path) -> None:
    async with kept(tmp_path, watch_s=0.0) as nights:
        nights.wing.waiting = 1
        await eventually(lambda: nights.wing.gone == [7], "the first night")
        (nights.nights.of(1) / "outcome.json").unlink()  # as if its process had been killed
        await eventually(lambda: nights.held == [1, 1], "the same night")


async def test_a_model_that_passed_while_its_agent_was_dead_is_served(tmp_path: Path) -> None:
    async with kept(tmp_path, watch_s=0.0) as nights:
        before = await nights.answer()
        await nights.hold(nights.nights, nights.order().number)  # and nobody was told
        await eventually(lambda: nights.wing.gone == [7], "the memory to let go")

        assert await nights.answer() != before
        assert nights.held == [1]


async def test_a_night_that_was_to_build_on_another_model_ends(tmp_path: Path) -> None:
    async with kept(tmp_path) as nights:
        nights.order(own="another")
        await eventually(lambda: nights.nights.outcome(1) is not None, "its end")

        outcome = nights.nights.outcome(1)
        assert outcome is not None
        assert (outcome.verdict, nights.held) == ("failed", [])
        assert outcome.why.startswith("model.source names another model")


async def test_a_model_that_cannot_be_served_is_tried_once(tmp_path: Path) -> None:
    async with kept(tmp_path) as nights:
        before, nights.lost = await nights.answer(), True
        nights.wing.waiting = 1

        def failed() -> bool:
            outcome = nights.nights.outcome(1) if nights.held else None
            return outcome is not None and outcome.verdict == "failed"

        await eventually(failed, "its end")
        assert nights.nights.unfinished is None
        assert await nights.answer() == before


async def test_once_a_day_the_model_is_asked_for_what_it_learned(tmp_path: Path) -> None:
    async with kept(tmp_path) as nights:
        told = Entry(id=3, task="classify", wordings=[TEXT], answer="x", created_s=1.0, used_s=1.0)
        nights.wing.learned = [told]
        await eventually(lambda: bool(nights.wing.probes), "a probe")
        await eventually(lambda: nights.wing.looks > 3, "more looks")

        assert nights.wing.probes == [(3, await nights.answer())]


async def test_whatever_breaks_the_next_look_begins_a_night(tmp_path: Path) -> None:
    async with kept(tmp_path, watch_s=0.0) as nights:
        nights.wing.waiting, nights.wing.broken = 1, 2
        await eventually(lambda: nights.wing.gone == [7], "the memory to let go")

        assert nights.wing.broken == 0
