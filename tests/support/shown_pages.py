"""A centre with its page, and agents that a test speaks for."""

from __future__ import annotations

import asyncio
import contextlib
import http.client
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from cloud_agent.center.app import Center
from cloud_agent.center.settings import CenterPart, WebSettings
from cloud_agent.center.web.access import read_token, token_place
from cloud_agent.center.web.server import page
from shared.bus.mqtt.settings import MqttSettings
from shared.membership.status import Status, encode_status
from shared.wire.control import NodeReport, Telemetry, encode_word
from tests.support.wires import MemoryWire, eventually, settled

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from shared.bus import Bus


class ShownPage:
    """A centre with its page, and an agent that a test speaks for."""

    def __init__(self, center: Center, url: str, bus: Bus) -> None:
        self.center, self.url, self.bus = center, url, bus
        self.netloc = urlsplit(url).netloc
        self.token = read_token(token_place(center.settings))

    async def announce(self, name: str, **counts: Any) -> None:
        topics = self.center.topics
        status = Status("online", 5, ("classify",), "bag", boot="b1", bundle="abcdef")
        report = NodeReport(tier="edge", release="9.9", processor="Cortex-A76", cores=4)
        await self.bus.publish(topics.status("edge", name), encode_status(status), retain=True)
        await self.bus.publish(topics.control(name, "report"), encode_word(report), retain=True)
        await self.bus.publish(
            topics.control(name, "telemetry"), encode_word(Telemetry(**counts)), retain=False
        )
        await eventually(lambda: (m := self.center.registry.find(name)) is not None
                         and m.telemetry == Telemetry(**counts))  # fmt: skip

    async def ask(
        self, method: str, path: str, body: bytes | None = None, **headers: str
    ) -> tuple[int, str, dict[str, str]]:
        return await asyncio.to_thread(self._ask, method, path, body, headers)

    def _ask(
        self, method: str, path: str, body: bytes | None, headers: dict[str, str]
    ) -> tuple[int, str, dict[str, str]]:
        connection = http.client.HTTPConnection(self.netloc, timeout=10)
        with contextlib.closing(connection):
            connection.request(method, path, body, headers)
            answer = connection.getresponse()
            told = {name.lower(): value for name, value in answer.getheaders()}
            return answer.status, answer.read().decode(), told


@contextlib.asynccontextmanager
async def showing(folder: Path, host: str = "127.0.0.1") -> AsyncIterator[ShownPage]:
    wire = MemoryWire()
    part = CenterPart(state=str(folder), web=WebSettings(host=host, port=0), telemetry_s=0.1)
    bus = await settled(wire.bus("agents"))
    async with (
        Center.open(part, MqttSettings(root=wire.root), wire.bus) as center,
        page(center) as url,
    ):
        yield ShownPage(center, url, bus)
    await wire.close()
