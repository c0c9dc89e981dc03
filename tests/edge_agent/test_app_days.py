"""Days of an edge that remembers, between a device and a recorded cloud, each a process of its own,
over Mosquitto: what it reports of them is what was on the wire."""

from __future__ import annotations

import asyncio
import json
import os
import time
from collections import Counter, defaultdict
from typing import TYPE_CHECKING, Any, NamedTuple

import pytest

from edge_agent.memory.wording import normalise
from experiments.hotspot.cloud import RecordedCloud
from experiments.hotspot.edge import ScriptedEdge
from experiments.hotspot.facts import generate
from experiments.hotspot.settings import HotspotSettings
from experiments.hotspot.workload import draw_questions
from experiments.testbed.client import DeviceClient
from experiments.testbed.processes import free_port
from shared.bus.mqtt.bus import MqttBus
from shared.bus.mqtt.settings import MqttSettings
from shared.wire.codec import decode_prompt
from shared.wire.topics import Topics
from tests.support.deployed_agents import Process
from tests.support.embedders import pack_minilm
from tests.support.installations import recserve
from tests.support.processes import ROOT, BrokerProcess, skip_without_program
from tests.support.rude_server import Asked, completion, http, rude_server

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from experiments.hotspot.workload import HotQuestion
    from shared.bus import Message

pytest.importorskip("onnx")
pytest.importorskip("httpx2")
DAYS = int(os.environ.get("MEMORY_DAYS", "0"))
DAY_S = 30.0
_MARGIN_S = 5.0
SETTINGS = """
agent: {tier}-1
tier: {{name: {tier}, policy: {{kind: pass}}{upstream}}}
model: {{runtime: openai, source: "{url}", model: scripted}}
mqtt: {{port: {port}}}
metrics: {{port: {metrics}}}
heartbeat_s: 0.5
{more}
"""
WORKLOAD = HotspotSettings(
    facts=60, days=max(1, DAYS), questions_a_day=60, warm_up=10, zipf=1.2, seed=3
)


class Installation(NamedTuple):
    """A broker, what the agents are asked, and where they lie."""

    broker: BrokerProcess
    questions: list[HotQuestion]
    folder: Path

    @property
    def mqtt(self) -> MqttSettings:
        return MqttSettings(port=self.broker.port)


@pytest.fixture
def installed(tmp_path: Path) -> Iterator[Installation]:
    skip_without_program("mosquitto", "mosquitto")
    facts = generate(WORKLOAD.facts, WORKLOAD.seed)
    questions = [each for each in draw_questions(facts, WORKLOAD) if each.day > 0]
    known = {each.text: each.fact for each in questions}
    cloud, small = RecordedCloud(facts, WORKLOAD), ScriptedEdge(facts, WORKLOAD)
    embedder = pack_minilm(tmp_path / "embedder")

    def recorded(asked: Asked, _: int) -> bytes:
        text = asked.body["messages"][-1]["content"]
        said = cloud.ask(known[text], text).answer if text in known else "yes"
        return http("200 OK", completion(said, -0.1, -0.2))

    def scripted(asked: Asked, number: int) -> bytes:
        text = asked.body["messages"][-1]["content"]
        own = small.closed_book(known[text], text, number) if text in known else None
        said = "yes" if own is None else own.answer
        return http("200 OK", completion(said, -1.0, -1.5))

    broker = BrokerProcess("mosquitto", tmp_path / "broker").start()
    with rude_server(recorded) as above, rude_server(scripted) as below:
        memory = (
            f"state: {tmp_path}/state\nmemory: {{embedder: {embedder}, day_s: {DAY_S}, rule: worth,"
            " check_share: 0.1, patience_s: 10, examples: 0, tasks: [generate]}"
        )
        agents = [
            _start(tmp_path, broker, "cloud", above.url, "", ""),
            _start(tmp_path, broker, "edge", below.url, "cloud", memory),
            _start(tmp_path, broker, "device", below.url, "edge", "limits: {timeout_s: 30}"),
        ]
        yield Installation(broker, questions, tmp_path)
        for agent in agents:
            agent.kill()
    broker.kill()


@pytest.mark.slow
@pytest.mark.timeout(300 + 60 * DAYS)
@pytest.mark.skipif(not DAYS, reason="`make days` plays them, with MiniLM")
async def test_the_reports_of_days_are_what_was_on_the_wire(installed: Installation) -> None:
    topics, heard = Topics(), defaultdict[str, Counter[str]](Counter)
    seen: set[tuple[str, Any]] = set()
    spy = MqttBus(installed.mqtt, "spy")

    def hear(message: Message) -> None:
        spy.acknowledge(message)
        address = topics.read_prompt(message.topic)
        prompt = (address.agent, decode_prompt(message.payload, address, now_s=0.0).id)
        if prompt not in seen:  # whoever waits too long asks again: a prompt counts once
            seen.add(prompt)
            heard[_day(time.time())][address.agent] += 1

    await spy.start()
    await spy.wait_connected(10.0)
    for agent in ("edge-1", "cloud-1"):
        await spy.subscribe(topics.prompts(agent), hear)
    async with DeviceClient.open(installed.mqtt, ["device-1"]) as client:
        await _ready(client, installed.questions[0].text)
        first = _day(time.time())
        answers = await _play(client, installed.questions)
    told = {day["day"]: day for day in await _report(installed, "edge-1")}
    await spy.close()

    for day, topics_heard in heard.items():
        assert told[day]["questions"] == topics_heard["edge-1"], day
        assert told[day]["cloud_calls"] == topics_heard["cloud-1"], day
    given = Counter(answer["source"]["way"] for _, _, answer in answers if "source" in answer)
    assert given["memory"] == sum(day["ways"]["memory"] for day in told.values()) > 0
    assert sum(day["ways"]["cloud"] for day in told.values()) == sum(
        day["cloud_calls"] for day in told.values()
    )
    assert len(told) == len(heard) >= DAYS
    assert client.duplicates == 0
    assert min(told) <= first
    _show(installed, answers, told)


async def _play(
    client: DeviceClient, questions: list[HotQuestion]
) -> list[tuple[HotQuestion, float, dict[str, Any]]]:
    """Ask the questions of each day within one day of the edge's; return all with their answers."""
    answers = []
    for day in range(1, DAYS + 1):
        if day > 1:
            await asyncio.sleep(DAY_S - time.time() % DAY_S + 0.2)
        for question in (each for each in questions if each.day == day):
            left_s = DAY_S - time.time() % DAY_S
            if left_s < _MARGIN_S:
                await asyncio.sleep(left_s + 0.2)
            asked_s = time.time()
            answer = await client.ask("device-1", question.text, task="generate", timeout_s=30)
            assert answer is not None
            assert "error" not in answer, answer
            answers.append((question, asked_s, answer))
    return answers


async def _ready(client: DeviceClient, text: str) -> None:
    """Return once an answer has come through all tiers."""
    give_up_s = time.monotonic() + 120
    while time.monotonic() < give_up_s:
        answer = await client.ask("device-1", text, task="generate", timeout_s=5)
        if answer is not None and answer.get("tier") == "cloud" and "degraded" not in answer:
            return
        await asyncio.sleep(0.2)
    raise AssertionError("no answer came through all tiers")


async def _report(installed: Installation, where: str) -> list[dict[str, Any]]:
    ran = await asyncio.to_thread(
        recserve, "memory", "report", where, "--port", str(installed.broker.port), "--json"
    )
    assert ran.returncode == 0, ran.stderr
    days: list[dict[str, Any]] = json.loads(ran.stdout)["days"]
    return days


def _show(
    installed: Installation,
    answers: list[tuple[HotQuestion, float, dict[str, Any]]],
    told: dict[str, dict[str, Any]],
) -> None:
    """Print how many answers of each way were right, and write the page of a long run."""
    right: dict[str, Counter[bool]] = defaultdict(Counter)
    for question, _, answer in answers:
        said = {normalise(each) for each in question.fact.answers}
        way = answer.get("source", {}).get("way", "model")
        right[way if way != "model" else answer["tier"]][normalise(answer["text"]) in said] += 1
    for way, counts in right.items():
        print(f"{way}: {counts[True]} of {counts.total()} right")  # noqa: T201 - of `make days`
    for day in told.values():
        print(json.dumps(day))  # noqa: T201
    page, port = ROOT / "runs" / "days.html", str(installed.broker.port)
    page.parent.mkdir(exist_ok=True)
    recserve("memory", "report", "edge-1", "--port", port, "--html", str(page))


def _day(now_s: float) -> str:
    from edge_agent.memory.days import Days  # noqa: PLC0415 - its name alone

    days = Days(None, day_s=DAY_S)
    days.count(now_s, "x")
    return days.all()[0].day


def _start(
    folder: Path, broker: BrokerProcess, tier: str, url: str, upstream: str, more: str
) -> Process:
    place = folder / tier
    place.mkdir()
    file = place / "settings.yaml"
    file.write_text(
        SETTINGS.format(
            tier=tier,
            upstream=f", upstream: {upstream}" if upstream else "",
            url=url,
            port=broker.port,
            metrics=free_port(),
            more=more,
        )
    )
    command = ["python", "-m", f"{tier}_agent", "--config", str(file)]
    return Process(command, place, {"PYTHONPATH": str(ROOT)}, ROOT)
