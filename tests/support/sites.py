"""A provisioned site with its Mosquitto running, and everybody's connection to it."""

from __future__ import annotations

import contextlib
import json
from typing import TYPE_CHECKING, Any

import msgspec

from broker.access import Member
from broker.provision import SiteChange, provision
from broker.start import BrokerSettings, command
from experiments.testbed.processes import free_port
from shared.bus.mqtt.connection import MqttConnection
from shared.bus.mqtt.settings import MqttSettings
from shared.bus.mqtt.terms import Terms
from shared.settings.file import load
from tests.support.deployed_agents import Process
from tests.support.processes import skip_without

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable
    from pathlib import Path

    from broker.site import Auth
    from shared.bus import Message, Will

HOSTS = ("127.0.0.1", "localhost")
MEMBERS = (
    Member(name="device-1", role="device"),
    Member(name="device-2", role="device"),
    Member(name="edge-1", role="edge", pool="north"),
    Member(name="edge-2", role="edge"),
    Member(name="cloud-1", role="cloud", pool="sky"),
    Member(name="center", role="center"),
    Member(name="alice", role="asker", devices=("device-1",)),
)
SEER = "seer"
"""Somebody whom only these tests let in: may say and hear everything."""


class Snippet(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What ``mqtt.yaml`` holds."""

    mqtt: MqttSettings
    agent: str = ""
    name: str = ""


class SecuredSite:
    """A site in a folder of its own; the broker is started by ``recserve``'s own command line."""

    def __init__(self, folder: Path, auth: Auth) -> None:
        skip_without("mosquitto")
        self.folder = folder / "site"
        self.port = free_port()
        self.auth = auth
        self._work = folder
        self._process: Process | None = None
        self.provision(hosts=HOSTS, port=self.port, auth=auth, members=MEMBERS)

    def provision(self, **request: Any) -> list[str]:
        """Run provisioning as the command does."""
        return provision(self.folder, SiteChange(**request))

    def let_in_the_seer(self) -> None:
        """Give somebody all rights, in the broker's file only."""
        self.provision(members=(Member(name=SEER, role="asker", devices=("device-1",)),))
        file = self.folder / "broker/access.json"
        access = json.loads(file.read_text())
        role = next(role for role in access["roles"] if role["rolename"] == SEER)
        kinds = ("publishClientSend", "publishClientReceive", "subscribePattern")
        role["acls"] = [{"acltype": kind, "topic": "#", "allow": True} for kind in kinds]
        file.write_text(json.dumps(access))

    def start(self) -> SecuredSite:
        """Start the broker, or start it anew."""
        self.stop()
        settings = BrokerSettings(
            kind="mosquitto", port=self.port, data_dir=str(self._work / "data"),
            provisioned=str(self.folder),
        )  # fmt: skip
        self._process = Process(command(settings), self._work, {}).listening(self.port)
        return self

    def stop(self) -> None:
        if self._process is not None:
            self._process.kill()
            self._process = None

    @property
    def said(self) -> str:
        """What the broker wrote to standard error."""
        assert self._process is not None
        return self._process.said

    def settings(self, name: str) -> MqttSettings:
        """Return a member's settings, read from its own folder as its agent would."""
        mqtt = load(Snippet, self.folder / "agents" / name / "mqtt.yaml").mqtt
        return msgspec.structs.replace(mqtt, reconnect_min_s=0.05, reconnect_max_s=0.2)

    @contextlib.asynccontextmanager
    async def connected(
        self, name: str, hear: Callable[[Message], None] | None = None, **differing: Any
    ) -> AsyncIterator[MqttConnection]:
        """Connect as a member for as long as the context lasts."""
        connection = await connect(self.settings(name), hear=hear, **differing)
        try:
            yield connection
        finally:
            await connection.close()


async def connect(
    settings: MqttSettings,
    *,
    hear: Callable[[Message], None] | None = None,
    client_id: str = "",
    will: Will | None = None,
    version: int = 5,
) -> MqttConnection:
    """Open one connection and acknowledge whatever comes."""

    def take(message: Message, _filters: list[str]) -> None:
        if message.token is not None:
            connection.acknowledge(message.token[1])  # type: ignore[index] # the connection's own
        if hear is not None:
            hear(message)

    connection = MqttConnection(
        settings, client_id or settings.username, will=will, version=version, deliver=take
    )
    await connection.open(5.0)
    return connection


async def say(connection: MqttConnection, topic: str, payload: bytes = b"", **how: Any) -> None:
    """Publish; raises ``Refused`` where MQTT 5 tells that it was."""
    await connection.publish(topic, payload, Terms(retain=how.get("retain", False)))
