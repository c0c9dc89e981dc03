"""Asks a memory, for the commands: that of a running edge over the wire, else by its files."""

from __future__ import annotations

import asyncio
import contextlib
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, TypeVar
from uuid import uuid4

import click
import msgspec

from edge_agent.memory.files import holding, reading
from edge_agent.memory.requests import (
    ForgetEntries,
    ImportEntries,
    MemoryAsk,
    MemoryEpoch,
    decode_answer,
)
from recserve.commands.ask import ClientSettings
from shared.bus.mqtt.bus import MqttBus
from shared.bus.mqtt.settings import MqttSettings
from shared.errors import MalformedMessage, MemoryRefused
from shared.settings.file import convert, load
from shared.wire.topics import Topics, check_name

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable

    from edge_agent.memory.requests import MemoryAnswer, MemoryRequest
    from shared.bus import Message

    Ask = Callable[[MemoryRequest], Awaitable[dict[str, Any]]]
    """Puts one request to a memory. Raises ``RecServeError``."""

_Command = TypeVar("_Command", bound="Callable[..., Any]")
_CHANGES: Final = (ForgetEntries, ImportEntries)


class Place(msgspec.Struct, frozen=True, kw_only=True):
    """The broker of a running edge, and the embedder for the files of another."""

    config: str | None
    host: str
    port: int
    root: str
    embedder: str
    timeout_s: float

    @property
    def mqtt(self) -> MqttSettings:
        """The broker. Raises ``SettingsError``."""
        if self.config:
            return load(ClientSettings, self.config).mqtt
        flags = {"host": self.host, "port": self.port, "root": self.root}
        return convert(MqttSettings, flags, "recserve memory")


def place_options(command: _Command) -> _Command:
    """Give a command what tells where a memory is."""
    for option in (
        click.option("--timeout-s", default=30.0, show_default=True, help="Time for an answer."),
        click.option(
            "--embedder",
            default="",
            help="Bundle that embeds, for files: to import, and to search.",
        ),
        click.option(
            "--root", default="recserve", show_default=True, help="First level of topics."
        ),
        click.option("--port", default=1883, show_default=True, help="Its TCP port."),
        click.option("--host", default="127.0.0.1", show_default=True, help="Broker of the edge."),
        click.option(
            "--config",
            "-c",
            type=click.Path(dir_okay=False),
            help="YAML file with the broker under mqtt: the operator's, as recserve provision "
            "writes it.",
        ),
    ):
        command = option(command)
    return command


def ask_memory(where: str, request: MemoryRequest, place: Place) -> dict[str, Any]:
    """Return what a memory answers to one request. Raises ``RecServeError``."""

    async def once() -> dict[str, Any]:
        changes = isinstance(request, _CHANGES)
        async with asking(where, place, changes=changes) as ask:
            return await ask(request)

    return asyncio.run(once())


@contextlib.asynccontextmanager
async def asking(where: str, place: Place, *, changes: bool) -> AsyncIterator[Ask]:
    """Reach a memory: the files of a folder, where ``where`` is one, or an edge of this name."""
    path = Path(where)
    if os.sep in where or await asyncio.to_thread(path.exists):
        opened = holding if changes else reading
        async with opened(path, place.embedder) as desk:

            async def do(request: MemoryRequest) -> dict[str, Any]:
                return desk.do(request)

            yield do
        return
    async with _over_the_wire(check_name(where, "edge"), place) as ask:
        yield ask


def begin_epoch(not_before_s: float, place: Place) -> None:
    """Say to every memory that is there, or will be, that what is older does not count."""

    async def publish() -> None:
        mqtt = place.mqtt
        async with _connected(mqtt) as bus:
            topic = Topics(mqtt.root).memory_epoch
            await bus.publish(topic, msgspec.json.encode(MemoryEpoch(not_before_s)), retain=True)

    asyncio.run(publish())


@contextlib.asynccontextmanager
async def _over_the_wire(agent: str, place: Place) -> AsyncIterator[Ask]:
    mqtt = place.mqtt
    topics = Topics(mqtt.root)
    waiting: dict[str, asyncio.Future[MemoryAnswer]] = {}
    async with _connected(mqtt) as bus:

        def hear(message: Message) -> None:
            bus.acknowledge(message)
            with contextlib.suppress(MalformedMessage):  # anybody may publish here
                said = decode_answer(message.payload)
                if said.id in waiting and not waiting[said.id].done():
                    waiting[said.id].set_result(said)

        async def ask(request: MemoryRequest) -> dict[str, Any]:
            known_by = uuid4().hex
            answered = waiting[known_by] = asyncio.get_running_loop().create_future()
            payload = msgspec.json.encode(MemoryAsk(known_by, request))
            await bus.publish(topics.memory_ask(agent), payload)
            try:
                said: MemoryAnswer = await asyncio.wait_for(answered, place.timeout_s)
            except asyncio.TimeoutError:
                raise MemoryRefused(
                    f"{agent} did not answer on {mqtt.brokers[0]} within {place.timeout_s:g} s; "
                    "is it an edge with a memory, and running? For the files of one that is not, "
                    "name their folder"
                ) from None
            if said.error:
                raise MemoryRefused(f"{agent}: {said.error}")
            return said.answer

        await bus.subscribe(topics.memory_answers(agent), hear)
        yield ask


@contextlib.asynccontextmanager
async def _connected(mqtt: MqttSettings) -> AsyncIterator[MqttBus]:
    bus = MqttBus(mqtt, mqtt.username or f"recserve-memory-{os.getpid()}")
    await bus.start()
    try:
        await bus.wait_connected(mqtt.connect_timeout_s)
        yield bus
    finally:
        await bus.close()
