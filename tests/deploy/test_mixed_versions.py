"""Agents of this version beside those from before statuses had a version, on one broker."""

from __future__ import annotations

import asyncio
import subprocess
from typing import TYPE_CHECKING, Any, Literal

import pytest

from experiments.testbed.client import DeviceClient
from experiments.testbed.processes import free_port
from shared.bus.mqtt.settings import MqttSettings
from tests.support.deployed_agents import ROOT, START_S, Process, presence
from tests.support.processes import BrokerProcess, skip_without_program
from tests.support.wires import eventually

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

Tier = Literal["device", "edge", "cloud"]
BEFORE = "b131b1b671e1460311c4b013a5360af52c7b7868"
"""The last commit whose statuses had no version."""
BUNDLE = "models/bundles/sentiment-device"
CODE = ("shared", "device_agent", "edge_agent", "cloud_agent", BUNDLE)
UPSTREAM: dict[Tier, Tier] = {"device": "edge", "edge": "cloud"}
SETTINGS = """
agent: {tier}-1
tier: {{name: {tier}, policy: {{kind: pass}}{upstream}}}
model: {{source: {bundle}, threads: 1}}
mqtt: {{port: {port}}}
metrics: {{port: {metrics}}}
upstream: {{patience_s: 0.5}}
heartbeat_s: 0.5
limits: {{queue_prompts: {queue}}}
"""


@pytest.fixture(scope="module")
def before(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The code of then, taken from the history, and a bundle that it can read."""
    skip_without_program("git", "git")
    archive = subprocess.run(
        ["git", "archive", BEFORE, *CODE], cwd=ROOT, capture_output=True, check=False
    )
    if archive.returncode != 0:
        pytest.skip(f"the history does not reach back to {BEFORE[:7]} (git fetch --unshallow)")
    folder = tmp_path_factory.mktemp("before")
    subprocess.run(["tar", "-x"], cwd=folder, input=archive.stdout, check=True)
    return folder


class Site:
    """A broker, and at most one agent in each tier, of either version."""

    def __init__(self, before: Path, folder: Path) -> None:
        self._before = before
        self._folder = folder
        self.broker = BrokerProcess("mosquitto", folder / "broker").start()
        self.agents: dict[Tier, Process] = {}
        self.queue: dict[Tier, int] = {}

    async def run(self, version: Literal["before", "now"], *tiers: Tier) -> None:
        """Put an agent of a version in these tiers; one that is there is stopped first."""
        for tier in tiers:
            if tier in self.agents:
                assert await self.agents.pop(tier).stop(START_S) == 0
            tree = self._before if version == "before" else ROOT
            command = ["python", "-m", f"{tier}_agent", "--config", str(self._settings(tier))]
            self.agents[tier] = Process(command, self._folder, {"PYTHONPATH": str(tree)}, tree)
            await self.says(tier, "broker connected")

    async def says(self, tier: Tier, event: str, times: int = 1) -> None:
        """Return once an agent has logged this so often."""

        def said() -> bool:
            assert self.agents[tier].running(), self.agents[tier].said
            return self.agents[tier].said.count(event) >= times

        await eventually(said, f"{event!r} of the {tier}", START_S)

    async def ask(self, client: DeviceClient) -> tuple[list[str], bool]:
        """Return the tiers that a prompt came through, and whether it was degraded."""
        answer: dict[str, Any] | None = await client.ask(
            "device-1", "a fine film", task="classify", timeout_s=15
        )
        assert answer is not None
        assert answer["label"] == "positive"
        return [hop["tier"] for hop in answer["hops"]], "degraded" in answer

    def client(self) -> Any:
        return DeviceClient.open(MqttSettings(port=self.broker.port), ["device-1"])

    def end(self) -> None:
        for agent in self.agents.values():
            agent.kill()
        self.broker.kill()

    def _settings(self, tier: Tier) -> Path:
        upstream = f", upstream: {UPSTREAM[tier]}" if tier in UPSTREAM else ""
        file = self._folder / f"{tier}.yaml"
        file.write_text(
            SETTINGS.format(
                tier=tier,
                upstream=upstream,
                bundle=self._before / BUNDLE,
                port=self.broker.port,
                metrics=free_port(),
                queue=self.queue.get(tier, 1000),
            )
        )
        return file


@pytest.fixture
def site(before: Path, tmp_path: Path) -> Iterator[Site]:
    made = Site(before, tmp_path)
    yield made
    made.end()


@pytest.mark.timeout(180)
async def test_upgraded_from_the_bottom_up_every_step_uses_every_tier(site: Site) -> None:
    whole = (["device", "edge", "cloud"], False)
    await site.run("before", "cloud", "edge", "device")
    await site.says("edge", "agent above")
    await site.says("device", "agent above")

    async with site.client() as client:
        assert await site.ask(client) == whole
        await site.run("now", "device")
        await site.says("device", "agent above")
        assert await site.ask(client) == whole
        await site.run("now", "edge")
        await site.says("edge", "agent above")
        await site.says("device", "agent above", times=2)
        assert await site.ask(client) == whole
        await site.run("now", "cloud")
        await site.says("edge", "agent above", times=2)
        assert await site.ask(client) == whole


@pytest.mark.timeout(120)
@pytest.mark.parametrize(
    ("now", "reached"),
    [("edge", ["device"]), ("cloud", ["device", "edge"])],
    ids=["edge", "cloud"],
)
async def test_an_agent_of_before_refuses_newer_ones_above_and_prompts_end_degraded_below(
    site: Site, now: Tier, reached: list[str]
) -> None:
    below: Tier = "device" if now == "edge" else "edge"
    await site.run("before", "cloud", "edge", "device")
    await site.says(below, "agent above")
    await site.run("now", now)
    await site.says(below, "message refused")

    async with site.client() as client:
        assert await site.ask(client) == (reached, True)


@pytest.mark.timeout(120)
async def test_statuses_of_before_are_read_by_agents_of_this_version(site: Site) -> None:
    await site.run("before", "cloud", "edge", "device")

    async with presence(site.broker.port, "recserve") as watched:
        for tier in ("device", "edge", "cloud"):
            assert await watched.wait_for(tier, "online", site.agents[tier]) == f"{tier}-1"


@pytest.mark.timeout(120)
async def test_a_notice_of_before_goes_by_silence_and_every_prompt_gets_one_answer(
    site: Site,
) -> None:
    site.queue["edge"] = 2
    await site.run("before", "cloud", "edge")
    await site.run("now", "device")
    await site.says("device", "agent above")

    async with site.client() as client:
        answers = await asyncio.gather(
            *(client.ask("device-1", f"film {number}", timeout_s=30) for number in range(60))
        )
        assert None not in answers
        await site.says("device", "a notice of version 1; this agent speaks another")

        await site.ask(client)
        assert client.duplicates == 0
