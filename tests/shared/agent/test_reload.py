"""An agent is told to exchange its model, and says what became of it; ``tests/recserve`` has the
same with real agents under load."""

from __future__ import annotations

import asyncio
import contextlib
import os
import pty
import signal
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import msgspec
import pytest
from prometheus_client import generate_latest

from device_agent import Device
from shared.agent.reload import ModelReloader, holding_hangups, reloading
from shared.agent.run import serving
from shared.agent.settings import AgentSettings, LimitSettings
from shared.cascade.policies import Observation
from shared.errors import SettingsError
from shared.membership.status import DETAIL_CHARACTERS, Reload, Status, decode_status
from shared.runtimes import ModelSettings
from tests.support.cascades import cloud_settings, device_settings
from tests.support.processes import ROOT
from tests.support.tiny_models import write_bundle
from tests.support.wires import MemoryWire, eventually

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from shared.agent.build import AgentParts


@pytest.fixture
def settings(tmp_path: Path) -> AgentSettings:
    source = str(write_bundle(tmp_path / "bundle", name="first").folder)
    return cloud_settings(MemoryWire(), model=ModelSettings(source=source))


class Told:
    """A cloud agent with a reloader that reads what a test says."""

    def __init__(self, parts: AgentParts, wire: MemoryWire, settings: AgentSettings) -> None:
        self.parts = parts
        self.wanted: AgentSettings | Exception = settings
        self._wire = wire
        self._reloader = ModelReloader(parts, settings, self._reread)
        self.running = asyncio.create_task(self._reloader.run())

    @property
    def status(self) -> Status:
        topic = f"{self._wire.root}/v1/status/cloud/cloud-1"
        return decode_status(
            self._wire.broker.retained.get(topic, b'{"state":"offline","epoch":0}')
        )

    async def reload(self) -> Reload:
        """Have it reload, and return what it says of that."""
        number = self.status.reload.number if self.status.reload else 0
        self._reloader.ask()

        def said() -> bool:
            reload = self.status.reload
            return reload is not None and reload.number > number and reload.outcome != ""

        await eventually(said)
        reload = self.status.reload
        assert reload is not None
        return reload

    def _reread(self) -> AgentSettings:
        if isinstance(self.wanted, Exception):
            raise self.wanted
        return self.wanted


@contextlib.asynccontextmanager
async def told(settings: AgentSettings) -> AsyncIterator[Told]:
    wire = MemoryWire()
    settings = msgspec.structs.replace(settings, mqtt=cloud_settings(wire).mqtt)
    async with serving(settings, connect=wire.connect) as parts:
        agent = Told(parts, wire, settings)
        await eventually(lambda: agent.status.state == "online")
        try:
            yield agent
        finally:
            agent.running.cancel()


async def test_the_status_and_the_metrics_say_at_once_which_bundle_answers(
    settings: AgentSettings, tmp_path: Path
) -> None:
    async with told(settings) as agent:
        first = agent.status
        bundle = write_bundle(tmp_path / "bundle", name="second")

        assert await agent.reload() == Reload(1, "exchanged")

        assert first.bundle not in ("", agent.status.bundle)
        assert (agent.status.model, agent.status.bundle) == ("second", bundle.digest[:12])
        page = generate_latest(agent.parts.metrics.registry).decode()
        assert page.count("recserve_info{") == 1, "of the model before there is no series"
        assert f'bundle="{bundle.digest[:12]}"' in page
        assert 'recserve_reloads_total{outcome="exchanged"} 1.0' in page


async def test_a_model_that_is_the_same_is_not_loaded_again(settings: AgentSettings) -> None:
    async with told(settings) as agent:
        model = agent.parts.slot.model
        assert await agent.reload() == Reload(1, "unchanged")
        assert await agent.reload() == Reload(2, "unchanged")
        assert agent.parts.slot.model is model


async def test_the_same_bundle_with_other_threads_is_another_model(
    settings: AgentSettings,
) -> None:
    async with told(settings) as agent:
        assert isinstance(agent.wanted, AgentSettings)
        model = msgspec.structs.replace(settings.model, threads=2)
        agent.wanted = msgspec.structs.replace(agent.wanted, model=model)
        assert (await agent.reload()).outcome == "exchanged"
        assert (await agent.reload()).outcome == "unchanged"


async def test_windows_begin_anew_with_another_bundle_and_go_on_with_the_same(
    settings: AgentSettings, tmp_path: Path
) -> None:
    async with told(settings) as agent:
        tier = agent.parts.station.tier
        for confidence in (0.9, 0.8, 0.7):
            routing = tier.route("classify", Observation(confidence, 0.0, prompt_bytes=4))
        assert routing.threshold > 0.7

        assert isinstance(agent.wanted, AgentSettings)
        model = msgspec.structs.replace(settings.model, threads=2)
        agent.wanted = msgspec.structs.replace(agent.wanted, model=model)
        assert (await agent.reload()).outcome == "exchanged"
        assert tier.route("classify", Observation(0.6, 0.0, prompt_bytes=4)).threshold > 0.6

        write_bundle(tmp_path / "bundle", name="second")
        assert (await agent.reload()).outcome == "exchanged"
        assert tier.route("classify", Observation(0.6, 0.0, prompt_bytes=4)).threshold == 0.6


async def test_what_else_changed_is_named(settings: AgentSettings) -> None:
    async with told(settings) as agent:
        assert isinstance(agent.wanted, AgentSettings)
        agent.wanted = msgspec.structs.replace(
            agent.wanted,
            limits=LimitSettings(timeout_s=7, drain_s=1),
            model=msgspec.structs.replace(settings.model, batch_prompts=2),
        )
        untaken = "changed, too, and only taken by a restart: limits.timeout_s, model.batch_prompts"
        assert await agent.reload() == Reload(1, "unchanged", untaken)


@pytest.mark.parametrize(
    ("error", "detail"),
    [
        (SettingsError("/etc/a.yaml: unknown key 'agnt'"), "…/a.yaml: unknown key 'agnt'"),
        (SettingsError("long " * 200), ("long " * 200)[:DETAIL_CHARACTERS]),
        (ZeroDivisionError("a fault of ours"), "ZeroDivisionError: a fault of ours"),
    ],
)
async def test_settings_that_cannot_be_read_leave_everything_as_it_is(
    settings: AgentSettings, error: Exception, detail: str
) -> None:
    async with told(settings) as agent:
        right, agent.wanted = agent.wanted, error
        assert await agent.reload() == Reload(1, "rolled back", detail)
        agent.wanted = right
        assert await agent.reload() == Reload(2, "unchanged")


async def test_a_device_counts_the_deaths_of_every_model_that_it_gets(tmp_path: Path) -> None:
    wire = MemoryWire()
    model = ModelSettings(source=str(write_bundle(tmp_path / "bundle", name="first").folder))
    settings = device_settings(wire, model=model, state=str(tmp_path / "state"))
    async with Device.open(settings, connect=wire.connect) as device:
        kind = type(device.parts.batcher.model)
        write_bundle(tmp_path / "bundle", name="second")
        reloader = ModelReloader(device.parts, settings, lambda: settings)
        running = asyncio.create_task(reloader.run())
        reloader.ask()
        await eventually(lambda: device.parts.batcher.model.name == "second")
        assert kind is not type(device.parts.slot.model)
        assert type(device.parts.batcher.model) is kind
        running.cancel()


async def test_a_signal_that_came_before_there_was_a_model_is_not_lost(
    settings: AgentSettings,
) -> None:
    before, wire = signal.getsignal(signal.SIGHUP), MemoryWire()
    settings = msgspec.structs.replace(settings, mqtt=cloud_settings(wire).mqtt)
    with holding_hangups():
        signal.raise_signal(signal.SIGHUP)
        async with (
            serving(settings, connect=wire.connect) as parts,
            reloading(parts, settings, lambda: settings),
        ):
            unchanged = parts.metrics.reloads.labels("unchanged")
            await eventually(lambda: unchanged._value.get() == 1)
            signal.raise_signal(signal.SIGHUP)
            await eventually(lambda: unchanged._value.get() == 2)
        signal.raise_signal(signal.SIGHUP)  # an agent that leaves hears no more
    assert signal.getsignal(signal.SIGHUP) is before


@pytest.mark.parametrize("nohup", [False, True])
async def test_an_agent_in_a_terminal_ends_with_it_unless_it_was_told_not_to(
    nohup: bool, settings: AgentSettings, tmp_path: Path
) -> None:
    words = [sys.executable, "-m", "cloud_agent", "-c", "configs/cloud.yaml"]
    words += ["--set", f"model.source={settings.model.source}", "--set", "mqtt.port=1"]
    with (tmp_path / "log").open("w") as log:
        terminal, process = _in_a_terminal((["nohup"] if nohup else []) + words, log)

    def said() -> str:
        return (tmp_path / "log").read_text()

    try:
        await eventually(lambda: "agent started" in said())
        os.close(terminal)
        if nohup:
            process.send_signal(signal.SIGHUP)
            await eventually(lambda: "model unchanged" in said())
            process.terminate()
        assert await asyncio.to_thread(process.wait, 30) == 0
        assert "stopping" in said()
    finally:
        process.kill()
        process.wait()


def _in_a_terminal(command: list[str], log: Any) -> tuple[int, subprocess.Popen[bytes]]:
    """Start a program as a shell in a terminal does; closing what is returned closes that."""
    try:
        ours, its = pty.openpty()
    except OSError as error:
        pytest.skip(f"this system has no terminals to give ({error})")
    take = "import fcntl, os, signal, sys, termios; fcntl.ioctl(0, termios.TIOCSCTTY, 0); "
    take += "signal.signal(signal.SIGHUP, signal.SIG_DFL); "  # these tests may run under nohup
    take += "os.execvp(sys.argv[1], sys.argv[1:])"
    process = subprocess.Popen(
        [sys.executable, "-c", take, *command],
        cwd=ROOT,
        stdin=its,
        stdout=log,
        stderr=log,
        start_new_session=True,
    )
    os.close(its)
    return ours, process
