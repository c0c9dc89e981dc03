"""``recserve reload``: have a running agent exchange its model, and wait for what becomes of it.

Sends SIGHUP to the agent's process and reads the outcome in its status, over the broker. Leaves out
what the agent does then (``shared.agent.reload``).
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import time
from pathlib import Path
from typing import TYPE_CHECKING, Final

import click

from recserve.any_settings import AnySettings
from recserve.commands.ask import ClientSettings
from shared.agent.command import settings_options
from shared.bus.mqtt.bus import MqttBus
from shared.cli import clear_errors
from shared.errors import MalformedMessage, RecServeError, SettingsError
from shared.membership.status import decode_status
from shared.serving.slot import LOAD_S
from shared.settings.file import load
from shared.storage.state_dir import holder_of
from shared.telemetry import log
from shared.wire.topics import Topics

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from shared.bus import Message
    from shared.bus.mqtt.settings import MqttSettings
    from shared.membership.status import Status

_VERSION: Final = 3
"""Of the status of an agent that exchanges models; SIGHUP ends one that is older."""
_KNOWN_S: Final = 5.0
_LOOK_S: Final = 0.5
_PATIENCE_S: Final = LOAD_S + 60.0


class ReloadFailed(RecServeError):
    """The agent's model was not exchanged, or nobody knows."""


@click.command(
    "reload",
    help="Exchange the model of a running agent without losing a prompt. The settings are to be "
    "given as when it was started.",
)
@settings_options
@click.option(
    "--pid", type=click.IntRange(min=1), help="Its process; else the lock in its state folder says."
)
@click.option(
    "--as",
    "looks",
    type=click.Path(dir_okay=False),
    help="YAML file of who looks at its status where the broker asks for names: the operator's.",
)
@click.option("--timeout-s", default=_PATIENCE_S, show_default=True, help="Time for all of it.")
def command(
    files: tuple[str, ...],
    flags: tuple[str, ...],
    pid: int | None,
    looks: str | None,
    timeout_s: float,
) -> None:
    """Exit with 0 when the agent answers with the model that its settings name, else with 2.

    The files and flags are those that it was started with.
    """
    with clear_errors():
        log.silence()
        settings = load(AnySettings, files, environment=os.environ, flags=flags)
        mqtt = _looking(settings, looks)
        pid = _running(settings) if pid is None else pid
        _signal(settings.agent, pid, 0)
        click.echo(asyncio.run(_reload(settings, mqtt, pid, timeout_s)))


def _running(settings: AnySettings) -> int:
    agent, state = settings.agent, settings.state
    if not state:
        raise SettingsError(f"state names no folder to tell which process {agent} is; give --pid")
    pid = holder_of(Path(state), agent)
    if pid is None:
        raise ReloadFailed(f"{agent} is not running: nobody holds its lock in {state}")
    return pid


def _looking(settings: AnySettings, looks: str | None) -> MqttSettings:
    """Return as whom to look at the status. Raises ``SettingsError``."""
    if looks is not None:
        return load(ClientSettings, looks).mqtt
    if settings.mqtt.username == settings.agent:
        raise SettingsError(
            f"a broker that knows {settings.agent!r} by name would take this command for the agent "
            "and end the agent's connection; give --as the operator's file, as recserve provision "
            "writes it"
        )
    return settings.mqtt


async def _reload(settings: AnySettings, mqtt: MqttSettings, pid: int, timeout_s: float) -> str:
    """Return one line that says what answers now. Raises ``ReloadFailed`` and ``BusError``."""
    agent, give_up_s = settings.agent, time.monotonic() + timeout_s
    topic = Topics(mqtt.root).status(settings.tier.name, agent)
    async with _statuses(mqtt, topic) as statuses:
        try:
            before = await asyncio.wait_for(statuses.get(), _KNOWN_S)
        except asyncio.TimeoutError:
            where = mqtt.brokers[0]
            raise ReloadFailed(f"nothing is known of {agent} on {where} ({topic})") from None
        if before.state != "online":
            raise ReloadFailed(f"{agent} (pid {pid}) is not connected to {mqtt.brokers[0]}")
        if before.version < _VERSION:
            raise ReloadFailed(f"{agent} runs an older RecServe, which SIGHUP ends; restart it")
        _signal(agent, pid, signal.SIGHUP)
        while time.monotonic() < give_up_s:
            with contextlib.suppress(asyncio.TimeoutError):
                status = await asyncio.wait_for(statuses.get(), _LOOK_S)
                if (said := _outcome(agent, before, status)) is not None:
                    return said
            _signal(agent, pid, 0)
    raise ReloadFailed(f"{agent} did not say within {timeout_s:g} s what became of it; see its log")


def _outcome(agent: str, before: Status, status: Status) -> str | None:
    """Return what became of it once a status says so. Raises ``ReloadFailed``."""
    if status.state != "online":
        return None
    if status.boot != before.boot:
        raise ReloadFailed(f"{agent} was started again meanwhile, and has {_named(status)}")
    reload, number = status.reload, before.reload.number if before.reload else 0
    if reload is None or reload.number <= number or not reload.outcome:
        return None
    if reload.outcome == "rolled back":
        raise ReloadFailed(f"{agent} goes on with {_named(status)}: {reload.detail}")
    also = f" ({reload.detail})" if reload.detail else ""
    if reload.outcome == "unchanged":
        return f"{agent} answers with {_named(status)} already{also}"
    return f"{agent} answers with {_named(status)}, before with {_named(before)}{also}"


def _named(status: Status) -> str:
    return f"{status.model} {status.bundle}".rstrip()


def _signal(agent: str, pid: int, number: int) -> None:
    """Send a signal; 0 only sees whether it could be sent. Raises ``ReloadFailed``."""
    try:
        os.kill(pid, number)
    except ProcessLookupError:
        raise ReloadFailed(f"{agent} is not running: there is no process {pid}") from None
    except PermissionError:
        raise ReloadFailed(
            f"{agent}, process {pid}, is another user's; run this as that user, or as root"
        ) from None


@contextlib.asynccontextmanager
async def _statuses(mqtt: MqttSettings, topic: str) -> AsyncIterator[asyncio.Queue[Status]]:
    """Queue what stands under a status topic, and then what comes. Raises ``BusError``."""
    statuses: asyncio.Queue[Status] = asyncio.Queue()
    bus = MqttBus(mqtt, mqtt.username or f"recserve-reload-{os.getpid()}")

    def hear(message: Message) -> None:
        bus.acknowledge(message)
        with contextlib.suppress(MalformedMessage):
            statuses.put_nowait(decode_status(message.payload))

    await bus.start()
    try:
        await bus.wait_connected(mqtt.connect_timeout_s)
        await bus.subscribe(topic, hear)
        yield statuses
    finally:
        await bus.close()
