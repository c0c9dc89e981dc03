"""Texts through two tiers: options travel, long texts are waited for, none is written twice."""

from __future__ import annotations

import asyncio
import contextlib
import time
from typing import TYPE_CHECKING

import pytest

from device_agent import Device
from device_agent.api.mqtt import AskTopic
from shared.agent.run import serving
from shared.agent.settings import TierSettings
from shared.cascade.policies import PassAll
from shared.messages import Failure, Result
from shared.runtimes import ModelSettings, load_model
from shared.tasks.generate import Completion
from shared.telemetry.metrics import Metrics
from tests.support.askers import Asker
from tests.support.cascades import device_settings, edge_settings
from tests.support.fakes import LookupModel, SteppingModel
from tests.support.wires import CONNECT_S, eventually

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from shared.agent.build import Connect
    from shared.agent.settings import AgentSettings
    from shared.bus import Bus, Will
    from shared.runtimes import Model
    from shared.tasks import Task
    from tests.support.wires import Wire

CHAT = [{"role": "user", "content": "hello"}, {"role": "assistant", "content": "good day"}]


@contextlib.asynccontextmanager
async def two_tiers(
    wire: Wire,
    above: Model,
    own: Model | None = None,
    *,
    task: Task = "generate",
    connect: Connect | None = None,
) -> AsyncIterator[Device]:
    """A device that sends everything up, and an edge agent with this model."""
    edge = edge_settings(wire, tier=TierSettings(name="edge"))
    device = device_settings(
        wire, tier=TierSettings(name="device", policy=PassAll(), upstream="edge")
    )
    async with contextlib.AsyncExitStack() as stack:
        serve = serving(edge, model=above, connect=connect or wire.connect, metrics=Metrics())
        parts = await stack.enter_async_context(serve)
        await parts.bus.wait_connected(CONNECT_S)
        opened = Device.open(
            device, model=own or SteppingModel("own"), connect=wire.connect, metrics=Metrics()
        )
        asked = await stack.enter_async_context(opened)
        await asked.parts.bus.wait_connected(CONNECT_S)
        dispatcher = asked.parts.station.dispatcher
        assert dispatcher is not None
        roster = dispatcher.choice.rosters[0]
        await eventually(lambda: bool(roster.alive(task, time.monotonic())), "the edge")
        yield asked


def said(result: Result) -> Completion:
    assert isinstance(result.outcome, Completion), result
    return result.outcome


async def test_options_reach_the_tier_that_answers(wire: Wire) -> None:
    above = SteppingModel("above")
    async with two_tiers(wire, above) as device:
        result = await device.ask("write", task="generate", options={"max_new_tokens": 7})

        read = device.parts.metrics.registry.get_sample_value
        assert read("recserve_tokens_total", {"tier": "device", "direction": "written"}) == 7

    assert (result.tier, said(result).tokens_out, result.degraded) == ("edge", 7, "")
    assert above.begun == ["write"]


async def test_a_text_that_takes_longer_than_every_retry_is_written_once(wire: Wire) -> None:
    above = SteppingModel("above", takes_s=0.05)
    async with two_tiers(wire, above) as device:
        result = await device.ask("long", task="generate", options={"max_new_tokens": 40})

    assert (said(result).tokens_out, result.tier, result.degraded) == (40, "edge", "")
    assert above.begun == ["long"], "silence was repeated into, and it was written on"


async def test_nul_in_what_a_model_writes_is_no_fault_of_the_answer(wire: Wire) -> None:
    async with two_tiers(wire, SteppingModel("above")) as device:
        await AskTopic(device).start()
        asker = await Asker(wire).start()
        answer = await asker.ask({"id": 1, "text": "a\0b", "task": "generate"})

    assert (answer["text"], answer["tier"]) == ("a\ufffdb", "edge")


async def test_no_text_is_lost_or_answered_twice_when_the_agent_above_dies(wire: Wire) -> None:
    above = SteppingModel("above", at_once=3, takes_s=0.01)
    buses: list[Bus] = []

    def connect(settings: AgentSettings, will: Will | None) -> Bus:
        buses.append(wire.connect(settings, will))
        return buses[-1]

    async with two_tiers(wire, above, connect=connect) as device:
        options = {"max_new_tokens": 6}
        asked = [
            device.submit(f"text {number}", task="generate", options=options, timeout_s=4)
            for number in range(30)
        ]
        await eventually(lambda: len(above.begun) > 6)
        wire.kill(buses[0])
        results = await asyncio.gather(*asked)

    assert [said(result).text for result in results] == [f"text {n}" for n in range(30)]
    assert {result.tier for result in results} == {"edge", "device"}
    assert all(result.degraded for result in results if result.tier == "device")


async def test_options_that_nobody_could_follow_come_back_before_a_model_is_asked(
    wire: Wire,
) -> None:
    above, own = SteppingModel("above"), SteppingModel("own")
    async with two_tiers(wire, above, own) as device:
        result = await device.ask("x", task="generate", options={"temprature": 1})

    assert isinstance(result.outcome, Failure)
    assert (result.outcome.code, above.begun, own.begun) == ("invalid_prompt", [], [])
    assert "did you mean temperature" in result.outcome.reason


async def test_where_nobody_above_answers_the_task_the_device_says_so_and_answers(
    wire: Wire,
) -> None:
    own, above = SteppingModel("own"), LookupModel("labels")
    own.labels = above.labels
    async with two_tiers(wire, above, own, task="classify") as device:
        result = await device.ask("x", task="generate", options={"max_new_tokens": 3})

    assert (said(result).tokens_out, result.tier) == (3, "device")
    assert "no agent above answers generate" in result.degraded


async def test_a_question_on_the_ask_topic_gets_its_text_as_json(wire: Wire) -> None:
    async with two_tiers(wire, SteppingModel("above")) as device:
        await AskTopic(device).start()
        asker = await Asker(wire).start()
        answer = await asker.ask(
            {
                "id": 7,
                "text": "write",
                "task": "generate",
                "options": {"max_new_tokens": 5, "messages": CHAT},
            }
        )

    assert (answer["id"], answer["text"], answer["tokens_out"]) == (7, "write", 5)
    assert (answer["finish"], answer["prompt_cut"], answer["tier"]) == ("stop", False, "edge")


async def test_two_tiers_of_real_language_models(wire: Wire, generator: Path) -> None:
    settings = ModelSettings(source=str(generator), runtime="genai")
    above, own = load_model(settings), load_model(settings)
    labels = {"labels": ["leak", "noise"]}
    async with two_tiers(wire, above, own) as device:
        text = await device.ask(
            "the valve sticks", task="generate", options={"max_new_tokens": 12, "messages": CHAT}
        )
        label = await device.ask("the pump leaks", options=labels)
        refused = await device.ask("x", task="generate", options={"regex": "(("})

    assert (text.tier, said(text).tokens_out) == ("edge", 12)
    assert [hop.confidence_kind for hop in text.hops] == ["perplexity", "perplexity"]
    # Both tiers have the same model here: a hop's figure travels in parts per billion.
    assert text.hops[0].confidence == pytest.approx(text.hops[1].confidence, abs=1e-8)
    assert label.tier == "edge"
    assert [hop.confidence_kind for hop in label.hops] == ["max_probability", "max_probability"]
    assert isinstance(refused.outcome, Failure)
    assert refused.outcome.code == "invalid_prompt"
    for model in (above, own):
        model.close()
