"""The real agents on a secured broker, each a process that has only its own folder."""

from __future__ import annotations

import asyncio
import contextlib
import sys
from typing import TYPE_CHECKING
from uuid import uuid4

import msgspec
import pytest
import yaml
from prometheus_client import generate_latest

from broker.access import Member
from experiments.testbed.client import DeviceClient
from recserve.commands.doctor import examine
from shared.agent.build import build_agent
from shared.agent.run import run_agent
from shared.agent.service import make_service, open_results
from shared.agent.settings import AgentSettings, TierSettings
from shared.bus.mqtt.bus import MqttBus
from shared.cascade.policies import KeepAll
from shared.errors import Refused
from shared.membership.status import Status, decode_status
from shared.messages import Hop, Prompt
from shared.runtimes import ModelSettings
from shared.wire.codec import encode_prompt
from tests.support.deployed_agents import Process
from tests.support.sites import MEMBERS, SEER, SecuredSite, say
from tests.support.tiny_models import write_bundle
from tests.support.wires import eventually, settled

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator
    from pathlib import Path

    from shared.agent.build import AgentParts
    from shared.bus import Message
    from shared.bus.mqtt.connection import MqttConnection

AGENTS = {
    "device-1": {"tier": {"name": "device", "policy": {"kind": "pass"}, "upstream": "edge"}},
    "edge-1": {"tier": {"name": "edge", "policy": {"kind": "pass"}, "upstream": "cloud"}},
    "cloud-1": {"tier": {"name": "cloud"}},
}
POOLS = {
    "device-1": {"upstream": {"pool": "north"}},
    "edge-1": {"pool": "north", "upstream": {"pool": "sky"}},
    "cloud-1": {"pool": "sky"},
}


@pytest.fixture(params=["directly", "through pools"])
def agents(
    request: pytest.FixtureRequest, own_site: SecuredSite, tmp_path: Path
) -> Iterator[dict[str, Process]]:
    """A device, an edge and a cloud agent that pass every prompt up."""
    bundle = write_bundle(tmp_path / "bundle").folder
    started = {}
    for name, role in AGENTS.items():
        home = own_site.folder / "agents" / name
        tree = yaml.safe_load((home / "mqtt.yaml").read_text()) | role
        tree |= POOLS[name] if request.param == "through pools" else {}
        tree |= {"model": {"source": str(bundle)}, "log": {"level": "debug"}}
        (home / "agent.yaml").write_text(yaml.safe_dump(tree))
        module = f"{name.split('-')[0]}_agent"
        command = [sys.executable, "-m", module, "--config", str(home / "agent.yaml")]
        started[name] = Process(command, tmp_path, {})
    yield started
    for process in started.values():
        process.kill()


@pytest.mark.parametrize(
    ("own_site", "agents"),
    [("certificate", "directly"), ("password", "through pools")],
    indirect=True,
    ids=["certificates, directly", "passwords, through pools"],
)
async def test_a_question_climbs_to_the_cloud_and_no_secret_is_ever_logged(
    own_site: SecuredSite, agents: dict[str, Process]
) -> None:
    # given
    await all_online(own_site, agents)
    # when
    async with DeviceClient.open(own_site.settings("alice"), ["device-1"]) as alice:
        answer = await alice.ask("device-1", "very good soup", task="classify", timeout_s=15)
    # then
    assert answer is not None
    assert [hop["agent"] for hop in answer["hops"]] == ["device-1", "edge-1", "cloud-1"], answer
    assert "degraded" not in answer
    stopped = [await process.stop(20) for process in agents.values()]
    logs = {name: process.said for name, process in agents.items()} | {"broker": own_site.said}
    assert stopped == [0, 0, 0], logs
    for secret in secrets_of(own_site):
        assert [name for name, log in logs.items() if secret in log] == []
    assert all("agent started" in logs[name] for name in agents)


async def test_a_refused_password_is_not_logged_either(
    password_site: SecuredSite, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    settings = password_site.settings("device-1")
    wrong = tmp_path / "password"
    wrong.write_text("a wrong and rather telling password")
    bus = MqttBus(msgspec.structs.replace(settings, password_file=str(wrong)), "device-1")
    await bus.start()
    with pytest.raises(Refused):
        await bus.wait_connected(1.0)
    await bus.close()
    said = capsys.readouterr()
    assert "refused us" in said.out
    assert "telling" not in said.out + said.err + password_site.said


async def all_online(site: SecuredSite, agents: dict[str, Process]) -> None:
    """Wait, as the operator, until every agent has said that it is there."""
    operator = await settled(MqttBus(site.settings("operator"), "operator"))
    online: set[str] = set()

    def hear(message: Message) -> None:
        operator.acknowledge(message)
        if decode_status(message.payload).state == "online":
            online.add(message.topic.rpartition("/")[2])

    await operator.subscribe("recserve/v1/status/+/+", hear)

    def there() -> bool:
        assert all(agent.running() for agent in agents.values()), [a.said for a in agents.values()]
        return online == set(agents)

    try:
        await eventually(there, "every agent's status", timeout_s=60)
    finally:
        await operator.close()


def secrets_of(site: SecuredSite) -> list[str]:
    """Every password, and every line of every private key."""
    homes = [site.folder / "agents" / member.name for member in MEMBERS]
    files = [home / name for home in homes for name in ("password", "client.key")]
    files.append(site.folder / "broker/broker.key")
    lines = [line for file in files if file.exists() for line in file.read_text().splitlines()]
    found = [line for line in lines if not line.startswith("-----")]
    assert len(found) > len(homes)
    return found


@contextlib.asynccontextmanager
async def edge_agent(site: SecuredSite, folder: Path) -> AsyncIterator[AgentParts]:
    """Run edge-2 in this process; it keeps every prompt."""
    settings = AgentSettings(
        agent="edge-2",
        tier=TierSettings(name="edge", upstream="cloud", policy=KeepAll()),
        model=ModelSettings(source=str(write_bundle(folder / "bundle").folder)),
        mqtt=site.settings("edge-2"),
    )
    parts = build_agent(settings)
    results = open_results(settings)
    service = make_service(settings, parts, results)
    await service.start()
    async with run_agent(parts, lambda: service.drain(1.0)):
        await parts.bus.wait_connected(10)
        yield parts
    await results.close()


async def escalate(device: MqttConnection, hop: Hop) -> None:
    """Send a prompt to edge-2 as device-2, whatever the hop says of it."""
    prompt = Prompt(uuid4(), "device-2", "classify", "good", 10.0, (hop,), copy=True)
    topic = "recserve/v1/prompts/edge-2/classify/device-2"
    await say(device, topic, encode_prompt(prompt, now_s=0.0))


async def test_a_device_cannot_have_a_result_put_on_anothers_topic(
    certificate_site: SecuredSite, tmp_path: Path
) -> None:
    heard: list[str] = []
    async with (
        edge_agent(certificate_site, tmp_path),
        certificate_site.connected("device-1", lambda m: heard.append(m.topic)) as victim,
        certificate_site.connected("device-2", lambda m: heard.append(m.topic)) as attacker,
    ):
        await victim.subscribe("recserve/v1/results/device-1")
        await attacker.subscribe("recserve/v1/results/device-2")
        # when it asks for a copy, and names the other as the sender
        await escalate(attacker, Hop("device", "device-1", 0.5, 0.6, 1))
        await eventually(lambda: "recserve/v1/results/device-2" in heard, "its own result")
        await asyncio.sleep(0.2)
    assert "recserve/v1/results/device-1" not in heard


async def test_a_device_cannot_grow_an_agents_metrics(
    certificate_site: SecuredSite, tmp_path: Path
) -> None:
    results: list[Message] = []
    async with (
        edge_agent(certificate_site, tmp_path) as edge,
        certificate_site.connected("device-2", results.append) as device,
    ):
        await device.subscribe("recserve/v1/results/device-2")
        for number in range(20):
            await escalate(device, Hop(f"made-up-{number}", "", 0.5, 0.6, 1))
        await eventually(lambda: len(results) == 20, "all results")
        text = generate_latest(edge.metrics.registry).decode()
    assert text.count("made-up-") < 20


@pytest.mark.parametrize("own_site", ["certificate"], indirect=True)
async def test_a_device_labels_other_programs_messages_with_the_rights_that_it_was_given(
    own_site: SecuredSite, tmp_path: Path
) -> None:
    granted = Member(
        name="device-1", role="device", reads=("factory/+/log",), writes=("factory/+/log/label",)
    )
    own_site.provision(members=(granted,))
    own_site.let_in_the_seer()
    own_site.start()
    home = own_site.folder / "agents/device-1"
    source = {"kind": "mqtt", "topics": "factory/+/log", "answer_to": "factory/{1}/log/label"}
    tree = yaml.safe_load((home / "mqtt.yaml").read_text()) | {
        "tier": {"name": "device"},
        "model": {"source": str(write_bundle(tmp_path / "bundle").folder)},
        "sources": {"logs": source},
    }
    (home / "agent.yaml").write_text(yaml.safe_dump(tree))
    labels: list[str] = []
    command = [sys.executable, "-m", "device_agent", "--config", str(home / "agent.yaml")]
    device = Process(command, tmp_path, {})
    try:
        async with own_site.connected(SEER, lambda m: labels.append(m.topic)) as program:
            await program.subscribe("factory/+/log/label")
            for _ in range(150):  # until the device has subscribed
                await say(program, "factory/press-3/log", b"very good soup")
                await asyncio.sleep(0.2)
                if labels:
                    break
        assert labels[:1] == ["factory/press-3/log/label"], device.said
    finally:
        device.kill()


async def test_the_doctor_examines_an_agent_as_the_operator(
    certificate_site: SecuredSite, tmp_path: Path
) -> None:
    agents = certificate_site.folder / "agents"
    tree = yaml.safe_load((agents / "device-2/mqtt.yaml").read_text()) | AGENTS["device-1"]
    tree["model"] = {"source": str(write_bundle(tmp_path / "bundle").folder)}
    (agents / "device-2/device.yaml").write_text(yaml.safe_dump(tree))
    flags = (
        "mqtt.username=operator",
        f"mqtt.tls.cert_file={agents}/operator/client.crt",
        f"mqtt.tls.key_file={agents}/operator/client.key",
    )
    async with certificate_site.connected("edge-2") as edge:
        alive = Status("online", 1, ("classify",))
        topic = "recserve/v1/status/edge/edge-2"
        await say(edge, topic, msgspec.json.encode(alive), retain=True)

        findings = [f async for f in examine([str(agents / "device-2/device.yaml")], flags)]

        await say(edge, topic, b"", retain=True)
    assert [(f.verdict, f.check) for f in findings] == [
        ("ok", "settings"),
        ("ok", "model"),
        ("ok", "broker"),
        ("ok", "upstream"),
    ], findings
    assert findings[-1].detail == "edge: edge-2"


async def test_a_reload_is_watched_as_the_operator_and_leaves_the_agent_its_connection(
    certificate_site: SecuredSite, tmp_path: Path
) -> None:
    agents = certificate_site.folder / "agents"
    tree = yaml.safe_load((agents / "cloud-1/mqtt.yaml").read_text()) | AGENTS["cloud-1"]
    tree["model"] = {"source": str(write_bundle(tmp_path / "bundle").folder)}
    tree["state"] = str(tmp_path / "state")
    config = agents / "cloud-1/agent.yaml"
    config.write_text(yaml.safe_dump(tree))
    agent = Process([sys.executable, "-m", "cloud_agent", "-c", str(config)], tmp_path, {})
    try:
        await all_online(certificate_site, {"cloud-1": agent})
        write_bundle(tmp_path / "bundle", name="next")
        command = [sys.executable, "-m", "recserve", "reload", "-c", str(config)]

        assert await asyncio.to_thread(agent.run_beside, command) == 2
        command += ["--as", str(agents / "operator/mqtt.yaml")]
        assert await asyncio.to_thread(agent.run_beside, command) == 0

        assert agent.said.count("model exchanged") == 1
        assert "broker lost" not in agent.said
    finally:
        agent.kill()


async def test_the_doctor_says_which_source_has_no_right_to_what_it_reads(
    certificate_site: SecuredSite, tmp_path: Path
) -> None:
    own = tmp_path / "own.yaml"
    tree = {
        "tier": {"name": "device"},
        "model": {"source": str(write_bundle(tmp_path / "b").folder)},
    }
    source = {"kind": "mqtt", "topics": "cellar/+/noise", "answer_to": "cellar/{1}/mood"}
    own.write_text(yaml.safe_dump(tree | {"sources": {"noise": source}}))
    connection = certificate_site.folder / "agents/device-2/mqtt.yaml"

    findings = [f async for f in examine([str(own), str(connection)])]

    assert (findings[-1].verdict, findings[-1].check) == ("failed", "source"), findings
    assert "sources.noise" in findings[-1].detail
    assert "cellar/+/noise" in findings[-1].detail
