"""An edge that learns at night under load, between a device and a cloud, each a process of its own,
over Mosquitto: a good model takes the place, a bad one is taken back, and no prompt is lost."""

from __future__ import annotations

import asyncio
import contextlib
import os
import sys
import time
from itertools import cycle
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import pytest

from edge_agent.memory.store import FILE, MemoryStore
from edge_agent.nights.belief import order_next
from edge_agent.nights.folder import NightFolder, NightOutcome
from experiments.testbed.client import DeviceClient
from shared.bus.mqtt.settings import MqttSettings
from shared.runtimes.bundle import Bundle
from shared.runtimes.onnx_embedder import OnnxEmbedder
from tests.support.deployed_agents import Process
from tests.support.processes import ROOT, BrokerProcess, skip_without_program
from tests.support.rude_server import Asked, completion, http, rude_server
from tests.support.tiny_nights import (
    Learner,
    Town,
    pack_rivers,
    remember,
    write_learner,
    write_random,
)
from tests.support.wires import eventually

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator

pytest.importorskip("torch")
pytest.importorskip("peft")
pytest.importorskip("onnxruntime_genai")
pytest.importorskip("httpx2")
EVERY_S = 0.05
"""Twenty prompts a second."""
LIMIT_S = 600.0
PAST_THE_MEMORY = {"temperature": 0.01}
"""What is to be drawn is not remembered: the model answers each time."""
SETTINGS = """
agent: {tier}-1
tier: {{name: {tier}, policy: {{kind: pass}}{upstream}}}
model: {model}
mqtt: {{port: {port}}}
heartbeat_s: 0.5
limits: {{timeout_s: 60}}
{more}
"""
MEMORY = """
state: {folder}/state
memory:
  embedder: {embedder}
  tasks: [generate]
  rule: worth
  check_share: 1.0
  patience_s: 10
  examples: 0
  night: {night}
"""


class Installation(NamedTuple):
    """A broker, the edge's settings and state, and what its model knows and is to learn."""

    port: int
    file: Path
    state: Path
    learner: Learner

    @property
    def nights(self) -> NightFolder:
        return NightFolder(self.state)

    def serves(self, night: int, *, watched: bool) -> bool:
        believed = self.nights.believed
        return believed is not None and (believed.night, believed.watched) == (night, watched)


@pytest.fixture
def installed(tmp_path: Path, embedder: str) -> Iterator[Installation]:
    skip_without_program("mosquitto", "mosquitto")
    learner = write_learner(tmp_path)
    state = tmp_path / "state"
    state.mkdir()
    asyncio.run(remember(state, learner.new, OnnxEmbedder(embedder)))
    rivers = {town.name: town.river for town in (*learner.known, *learner.new)}

    def cloud(asked: Asked, _: int) -> bytes:
        text = asked.body["messages"][-1]["content"]
        said = next((river for name, river in rivers.items() if name in text), "no idea")
        return http("200 OK", completion(said, -0.1))

    def device(_: Asked, __: int) -> bytes:
        return http("200 OK", completion("no idea", -3.0))

    night = (
        f"{{base: {learner.base}, old: {learner.old}, steps: 160, rank: 16, learning_rate: 0.004, "
        f"new_rows: 16, old_rows: 16, least: 4, watch_prompts: 25, limit_s: {LIMIT_S}}}"
    )
    broker = BrokerProcess("mosquitto", tmp_path / "broker").start()
    memory = MEMORY.format(folder=tmp_path, embedder=embedder, night=night)
    with rude_server(cloud) as above, rude_server(device) as below, contextlib.ExitStack() as stack:
        own = f"{{runtime: genai, source: {learner.bundle}, threads: 1}}"
        scripted = '{{runtime: openai, source: "{url}", model: scripted}}'
        for tier, model, upstream, more in (
            ("cloud", scripted.format(url=above.url), "", ""),
            ("edge", own, ", upstream: cloud", memory),
            ("device", scripted.format(url=below.url), ", upstream: edge", ""),
        ):
            settings = {"tier": tier, "model": model, "upstream": upstream, "more": more}
            stack.callback(_start(tmp_path / tier, settings | {"port": broker.port}).kill)
        yield Installation(broker.port, tmp_path / "edge" / "settings.yaml", state, learner)
    broker.kill()


@pytest.mark.slow
@pytest.mark.timeout(1_200)
@pytest.mark.filterwarnings("ignore::FutureWarning")
async def test_a_night_under_load_teaches_and_a_bad_model_is_taken_back(
    installed: Installation, tmp_path: Path
) -> None:
    learner, mqtt = installed.learner, MqttSettings(port=installed.port)
    async with DeviceClient.open(mqtt, ["device-1"]) as client, _load(client, learner) as answers:
        await eventually(lambda: len(answers) > 25, "answers through all tiers", LIMIT_S)
        asked = asyncio.create_task(_recserve_night(installed.file))
        await asyncio.to_thread(_wake, installed.nights.of(1))
        code, said = await asked
        assert (code, "entries learned in" in said) == (0, True), said
        await eventually(lambda: installed.serves(1, watched=False), "belief", LIMIT_S)
        kept, learned = await _remembered(installed.state)

        await asyncio.to_thread(_forge_night, installed, tmp_path / "random")
        await eventually(lambda: installed.serves(2, watched=True), "the bad model", LIMIT_S)
        told = [await _ask(client, town.questions()[0]) for town in learner.new]
        await eventually(lambda: installed.serves(1, watched=False), "the way back", LIMIT_S)
        entries, ghosts = await _remembered(installed.state)

    assert len(learned) >= 0.8 * len(learner.new)
    assert not kept & learned
    assert entries & learned, "what the bad model did not know came back"
    assert learned <= entries | ghosts
    assert told == [town.river for town in learner.new]
    assert len(answers) > 100
    assert [pair for pair in answers if pair[0] != pair[1]] == []


@contextlib.asynccontextmanager
async def _load(client: DeviceClient, learner: Learner) -> AsyncIterator[list[tuple[str, str]]]:
    """Ask what the model knows, past the memory, all the time; yields what was said, what is so."""
    answers: list[tuple[str, str]] = []

    async def ask(town: Town, question: str) -> None:
        answers.append((await _ask(client, question, PAST_THE_MEMORY), town.river))

    async def go_on() -> None:
        pairs = [(town, text) for town in learner.known for text in town.questions()]
        for town, text in cycle(pairs):
            asked.append(asyncio.create_task(ask(town, text)))
            await asyncio.sleep(EVERY_S)

    first = learner.known[0]
    while await _ask(client, first.questions()[0], PAST_THE_MEMORY, timeout_s=2.0) != first.river:
        pass  # until there is a way through all tiers
    asked: list[asyncio.Task[None]] = []
    going = asyncio.create_task(go_on())
    yield answers
    going.cancel()
    await asyncio.gather(*asked)


async def _ask(
    client: DeviceClient,
    text: str,
    options: dict[str, Any] | None = None,
    *,
    timeout_s: float = 60.0,
) -> str:
    """Return what the device says; of what no tier answered, why."""
    answer = await client.ask(
        "device-1", text, task="generate", timeout_s=timeout_s, options=options
    )
    if answer is None or "error" in answer or answer.get("degraded"):
        return f"failed: {answer}"
    return str(answer["text"])


async def _recserve_night(file: Path) -> tuple[int | None, str]:
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "recserve", "night", "--config", str(file)),
        cwd=ROOT,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    said, _ = await process.communicate()
    return process.returncode, said.decode()


def _wake(folder: Path) -> None:
    """Have the process of a night wait for nobody: where tests run, somebody always wants the
    processor."""
    give_up_s = time.monotonic() + LIMIT_S
    while time.monotonic() < give_up_s:
        for place in Path("/proc").glob("[0-9]*"):
            with contextlib.suppress(OSError):
                command = (place / "cmdline").read_bytes().split(b"\0")
                pid, ours = int(place.name), command[-2:] == [str(folder).encode(), b""]
                if ours and os.sched_getscheduler(pid) == os.SCHED_IDLE:
                    os.sched_setscheduler(pid, os.SCHED_OTHER, os.sched_param(0))
                    return
        time.sleep(0.5)
    raise AssertionError("no night began")


def _forge_night(installed: Installation, folder: Path) -> None:
    """Leave a night whose gates were passed by a model of random weights."""
    nights, number = installed.nights, 2
    learner = installed.learner
    write_random(learner, folder)
    pack_rivers(folder, nights.bundle(number), [learner.known[0].questions()[0]])
    digest = Bundle.open(nights.bundle(number)).digest
    nights.write_outcome(NightOutcome(number=number, verdict="passed", bundle=digest))
    order_next(nights, learner.settings(), learner.model)


async def _remembered(state: Path) -> tuple[set[int], set[int]]:
    """Return the numbers of the entries, and of what was learned."""
    store = MemoryStore.join(state / FILE)
    loaded = await asyncio.to_thread(store.load)
    await store.close()
    return {entry.id for entry in loaded.entries}, {ghost.id for ghost in loaded.ghosts}


def _start(place: Path, settings: dict[str, Any]) -> Process:
    place.mkdir()
    file = place / "settings.yaml"
    file.write_text(SETTINGS.format(**settings))
    command = [sys.executable, "-m", f"{settings['tier']}_agent", "--config", str(file)]
    return Process(command, place, {"PYTHONPATH": str(ROOT)}, ROOT)
