"""A cloud tier whose model runs at llama.cpp's server: every part a process of its own."""

from __future__ import annotations

import asyncio
import subprocess
import sys
import time
from typing import TYPE_CHECKING
from uuid import uuid4

import pytest
import yaml

from device_agent import Device
from shared.agent.settings import TierSettings
from shared.tasks.classify import Label
from shared.tasks.generate import Completion
from shared.telemetry.metrics import Metrics
from tests.support.cascades import EASY, HARD, STRICT, SURE, UNSURE, device_settings
from tests.support.fakes import LookupModel
from tests.support.llama_server import NAME, LlamaServer, llama_server
from tests.support.processes import ROOT
from tests.support.wires import CONNECT_S, MqttWire, eventually

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator
    from pathlib import Path

    from shared.messages import Result

pytest.importorskip("httpx2")

KEY = "sk-a-key-that-nobody-sees"
OWN = Completion("my own words")
BRIEF = {"max_new_tokens": 6}


@pytest.fixture
def llama(tmp_path: Path) -> Iterator[LlamaServer]:
    with llama_server(tmp_path, key=KEY) as server:
        yield server


@pytest.fixture
def log(tmp_path: Path, llama: LlamaServer, mosquitto: MqttWire) -> Iterator[Path]:
    """Runs the cloud agent, and is what it writes."""
    (tmp_path / "key").write_text(KEY)
    model = {
        "runtime": "openai",
        "source": llama.url,
        "model": NAME,
        "key_file": "./key",
        "in_flight": 4,
        "labels": ["negative", "positive"],
    }
    settings = {
        "agent": "cloud-1",
        "tier": {"name": "cloud"},
        "model": model,
        "mqtt": {"port": mosquitto.broker.port, "root": mosquitto.root},
        "heartbeat_s": 0.5,
    }
    config, written = tmp_path / "cloud.yaml", tmp_path / "cloud.log"
    config.write_text(yaml.safe_dump(settings))
    with written.open("wb") as words:
        agent = subprocess.Popen(
            [sys.executable, "-m", "cloud_agent", "--config", str(config)],
            cwd=ROOT,
            stdout=words,
            stderr=words,
        )
    yield written
    agent.terminate()
    assert agent.wait(20) == 0, written.read_text()


@pytest.fixture
async def device(log: Path, mosquitto: MqttWire) -> AsyncIterator[Device]:
    """A device that is sure of what is easy alone, and knows the cloud agent."""
    model = LookupModel(
        "device-1",
        {EASY: SURE},
        otherwise=UNSURE,
        tasks=frozenset({"classify", "generate"}),
        answers={EASY: OWN, HARD: OWN},
    )
    tier = TierSettings(name="device", policy=STRICT, upstream="cloud")
    settings = device_settings(mosquitto, tier=tier)
    opened = Device.open(settings, model=model, connect=mosquitto.connect, metrics=Metrics())
    async with opened as running:
        for task in ("classify", "generate"):
            assert (await running.ask(EASY, task=task)).tier == "device"
        await running.parts.bus.wait_connected(CONNECT_S)
        roster = running.parts.station.above.choice.rosters[0]
        await eventually(
            lambda: "cloud-1" in roster.alive("generate", time.monotonic()),
            "the cloud agent is alive",
            20,
        )
        yield running


async def test_texts_and_labels_come_from_the_server_and_its_end_is_no_ones_loss(
    device: Device, llama: LlamaServer, log: Path
) -> None:
    asked = [uuid4() for _ in range(24)]
    results = await asyncio.gather(
        *(device.ask(HARD, task="generate", options=BRIEF, prompt_id=each) for each in asked)
    )

    assert [result.id for result in results] == asked
    assert {result.tier for result in results} == {"cloud"}
    assert not any(result.degraded for result in results)
    (answer,) = {result.outcome for result in results}
    assert isinstance(answer, Completion)
    assert (answer.tokens_out, answer.finish) == (6, "length")
    assert 0 < results[0].confidence < 1

    own = await device.ask(HARD)
    named = await device.ask(HARD, options={"labels": ["leaks", "sound"]})
    assert own.outcome in (Label("negative"), Label("positive"))
    assert named.outcome in (Label("leaks"), Label("sound"))
    assert (own.tier, named.tier) == ("cloud", "cloud")

    llama.kill()
    alone = await device.ask(HARD, task="generate")
    assert (alone.outcome, alone.tier) == (OWN, "device")
    assert alone.degraded == "every agent above is busy"

    llama.start()
    again = await _answered_above(device)
    assert isinstance(again.outcome, Completion)
    assert KEY not in await asyncio.to_thread(log.read_text)


async def _answered_above(device: Device) -> Result:
    for _ in range(10):
        result = await device.ask(HARD, task="generate", options=BRIEF)
        if result.tier == "cloud":
            return result
    raise AssertionError(f"it still answers itself: {result.degraded}")
