"""The broker of a site: deploy/mosquitto/ as it is, with its script, passwords and access list."""

from __future__ import annotations

import asyncio
import itertools
import ssl
import subprocess
import sys
from typing import TYPE_CHECKING

import msgspec
import pytest

from experiments.testbed.processes import free_port
from shared.bus.mqtt.bus import MqttBus
from shared.bus.mqtt.settings import MqttSettings, TlsSettings
from shared.errors import BusError, Refused
from shared.wire.topics import Topics
from tests.support.deployed_agents import ROOT, Process, model_source
from tests.support.processes import skip_without, skip_without_program
from tests.support.wires import Inbox, eventually, settled

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    Account = Callable[[str], MqttSettings]

SITE = ROOT / "deploy/mosquitto"
TOPICS = Topics()
USERS = ("device-1", "edge-1", "operator")


@pytest.fixture(scope="module")
def credentials(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder made the way docs/deploy.md says; every user's password is its name."""
    skip_without("mosquitto")
    skip_without_program("openssl", "openssl")
    skip_without_program("mosquitto_passwd", "mosquitto")
    folder = tmp_path_factory.mktemp("site")
    script = ["sh", str(SITE / "certificates.sh"), "127.0.0.1"]
    subprocess.run(script, cwd=folder, check=True, capture_output=True)
    (folder / "passwords").touch(mode=0o644)
    for user in USERS:
        (folder / user).write_text(user)
        command = ["mosquitto_passwd", "-b", "passwords", user, user]
        subprocess.run(command, cwd=folder, check=True, capture_output=True)
    for file in folder.iterdir():
        file.chmod(0o644)  # Mosquitto gives up root's rights before it reads some of them
    folder.chmod(0o755)
    return folder


@pytest.fixture(scope="module")
def account(credentials: Path) -> Iterator[Account]:
    """Run the site's broker, and give the settings of a user who connects over TLS."""
    plain, secure = free_port(), free_port()
    text = (SITE / "site.conf").read_text(encoding="utf-8")
    for before, after in {
        "listener 8883": f"listener {secure} 127.0.0.1",
        "listener 1883": f"listener {plain}",
        "/etc/recserve/mosquitto.acl": str(SITE / "site.acl"),
        "/etc/recserve/": f"{credentials}/",
        "/var/lib/mosquitto/": f"{credentials}/",
        "persistence true": "persistence false",
        "acl_file": "user root\nacl_file",
    }.items():
        assert before in text
        text = text.replace(before, after)
    configuration = credentials / "mosquitto.conf"
    configuration.write_text(text, encoding="utf-8")
    broker = Process(["mosquitto", "-c", str(configuration)], credentials, {}).listening(secure)

    def settings(user: str) -> MqttSettings:
        return MqttSettings(
            port=secure,
            username=user,
            password_file=str(credentials / user) if user else "",
            tls=TlsSettings(ca_file=str(credentials / "ca.crt")),
        )

    yield settings
    broker.kill()


async def test_a_device_and_its_edge_work_together_over_tls(
    account: Account, tmp_path: Path
) -> None:
    # given
    agents = [start(tier, account(f"{tier}-1"), tmp_path) for tier in ("edge", "device")]
    operator = await settled(MqttBus(account("operator"), "operator"))
    answers = Inbox(operator)
    await operator.subscribe(TOPICS.answers("device-1"), answers.take)
    # when: the device is asked what it is sure of, and what it is less sure of
    for text in itertools.cycle([b"good good film", b"bad soup", b"very good", b"film"]):
        assert all(agent.running() for agent in agents), [agent.said for agent in agents]
        await operator.publish(TOPICS.ask("device-1"), text)
        await asyncio.sleep(0.05)
        # then
        if {"device", "edge"} <= {
            msgspec.json.decode(said).get("tier") for said in answers.payloads
        }:
            break
    await operator.close()
    assert [await agent.stop(20) for agent in agents] == [0, 0], [agent.said for agent in agents]


async def test_nobody_connects_without_a_password(account: Account) -> None:
    stranger = MqttBus(account(""), "stranger")
    await stranger.start()
    with pytest.raises(Refused):
        await stranger.wait_connected(2)
    await stranger.close()


async def test_the_broker_is_known_by_its_authority_alone(account: Account) -> None:
    settings = account("device-1")
    assert settings.tls is not None
    ours = ssl.create_default_context(cafile=settings.tls.ca_file)
    ours.verify_flags |= ssl.VERIFY_X509_STRICT  # as Python 3.13 does by itself
    _, writer = await asyncio.open_connection(settings.host, settings.port, ssl=ours)
    writer.close()
    with pytest.raises(ssl.SSLCertVerificationError):
        await asyncio.open_connection(
            settings.host, settings.port, ssl=ssl.create_default_context()
        )


@pytest.mark.parametrize(
    ("writer", "topic", "reader"),
    [
        ("device-1", TOPICS.status("edge", "device-1"), "operator"),
        ("device-1", TOPICS.results("device-1"), "device-1"),
        ("device-1", TOPICS.prompt("edge-1", "classify", "device-2"), "edge-1"),
        ("operator", TOPICS.prompt("edge-1", "classify", "device-1"), "edge-1"),
    ],
)
async def test_what_is_not_ones_own_is_not_delivered(
    account: Account, writer: str, topic: str, reader: str
) -> None:
    buses = {name: await settled(MqttBus(account(name), name)) for name in {writer, reader}}
    heard = Inbox(buses[reader])
    allowed = {
        "operator": TOPICS.answers("device-1"),
        "device-1": TOPICS.results("device-1"),
        "edge-1": TOPICS.prompts("edge-1"),
    }
    try:
        await buses[reader].subscribe(allowed[reader], heard.take)
        with pytest.raises(BusError):
            await buses[writer].publish(topic, b"not mine")
        assert heard.messages == []
    finally:
        for bus in buses.values():
            await bus.close()


async def test_a_device_does_not_hear_the_prompts_of_others(account: Account) -> None:
    device = await settled(MqttBus(account("device-1"), "device-1"))
    edge = await settled(MqttBus(account("edge-1"), "edge-1"))
    overheard, heard = Inbox(device), Inbox(edge)
    try:
        await edge.subscribe(TOPICS.prompts("edge-1"), heard.take)
        await device.subscribe(TOPICS.prompts("edge-1"), overheard.take)
        await device.publish(TOPICS.prompt("edge-1", "classify", "device-1"), b"mine")
        await eventually(lambda: bool(heard.messages), "the prompt's arrival")
        assert overheard.messages == []
    finally:
        await device.close()
        await edge.close()


def start(tier: str, mqtt: MqttSettings, folder: Path) -> Process:
    """Start an agent that has this account."""
    assert mqtt.tls is not None
    folder = folder / tier
    folder.mkdir()
    settings = {
        "RECSERVE_AGENT": mqtt.username,
        "RECSERVE_MQTT__PORT": str(mqtt.port),
        "RECSERVE_MQTT__USERNAME": mqtt.username,
        "RECSERVE_MQTT_PASSWORD": mqtt.username,
        "RECSERVE_MQTT__TLS__CA_FILE": mqtt.tls.ca_file,
    }
    command = [sys.executable, "-m", f"{tier}_agent", "--config", f"configs/{tier}.yaml"]
    return Process(command, folder, settings | model_source(tier, folder))
