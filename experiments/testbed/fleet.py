"""Virtual devices: any number of device agents in this process, sharing one model.

Each has its own identity, window and connection, as if it ran on a board of its own. They share the
weights, which one thread at a time uses, and the counters; nothing they hold outlives the process.
Statuses go out less often the more devices there are, so that they do not drown the prompts.
"""

from __future__ import annotations

import asyncio
import contextlib
import resource
import time
from typing import TYPE_CHECKING

import msgspec

from device_agent import Device
from experiments.testbed.shared_model import shared_by_many
from shared.agent.build import mqtt
from shared.errors import SettingsError
from shared.nodes.settings import NodeSettings
from shared.runtimes import load_model
from shared.telemetry.metrics import Metrics, MetricsSettings

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Mapping, Sequence

    from device_agent.settings import DeviceSettings
    from shared.agent.build import Connect

_STATUSES_PER_S = 10.0
_FILES_PER_DEVICE = 4
_FILES_BESIDES = 200


class Fleet:
    """Running virtual devices."""

    def __init__(self, devices: dict[str, Device], metrics: Metrics, connected_s: float) -> None:
        self.metrics = metrics
        self.connected_s = connected_s
        """How long it took from nothing until all were connected, less the loading of weights."""
        self._devices = devices
        metrics.waiting.set_function(self._waiting)  # of all, where each device put its own

    @property
    def devices(self) -> Mapping[str, Device]:
        """The devices by name."""
        return self._devices

    def _waiting(self) -> float:
        return sum(device.parts.batcher.waiting for device in self._devices.values())

    @classmethod
    @contextlib.asynccontextmanager
    async def open(
        cls,
        settings: DeviceSettings,
        names: Sequence[str],
        *,
        timeout_s: float = 60.0,
        connect: Connect = mqtt,
    ) -> AsyncIterator[Fleet]:
        """Run one device per name with these settings; yields once all are connected.

        Raises what ``Device.open`` raises, ``SettingsError`` when this system allows fewer open
        files than so many need, and ``BusError`` when not all are connected in time.
        """
        if settings.mqtt.username:
            raise SettingsError(
                "virtual devices would share mqtt.username, and a broker that asks for it knows "
                "one device by it; ask running devices instead (fleet.ask)"
            )
        _make_room_for_files(len(names))
        model = shared_by_many(load_model(settings.model), settings.model.runtime)
        metrics, leave = Metrics(), asyncio.Event()
        started_s = time.monotonic()

        def open_one(name: str) -> contextlib.AbstractAsyncContextManager[Device]:
            mine = _virtual(settings, name, names.index(name), len(names))
            return Device.open(mine, model=model, connect=connect, metrics=metrics)

        lives = {name: _Life(lambda name=name: open_one(name), leave) for name in names}  # type: ignore[misc]  # a lambda's default
        try:
            devices = {name: await life.device for name, life in lives.items()}
            await asyncio.gather(
                *(device.parts.bus.wait_connected(timeout_s) for device in devices.values())
            )
            yield cls(devices, metrics, time.monotonic() - started_s)
        finally:
            leave.set()
            await asyncio.gather(*(life.task for life in lives.values()), return_exceptions=True)
            model.close()


class _Life:
    """One device in a task of its own, so that all of them start and stop together."""

    def __init__(
        self,
        open_one: Callable[[], contextlib.AbstractAsyncContextManager[Device]],
        leave: asyncio.Event,
    ) -> None:
        self.device: asyncio.Future[Device] = asyncio.get_running_loop().create_future()
        self.task = asyncio.create_task(self._run(open_one, leave))

    async def _run(
        self,
        open_one: Callable[[], contextlib.AbstractAsyncContextManager[Device]],
        leave: asyncio.Event,
    ) -> None:
        try:
            async with open_one() as device:
                self.device.set_result(device)
                await leave.wait()
        except Exception as error:
            if self.device.done():
                raise
            self.device.set_exception(error)


def names_like(name: str, devices: int) -> list[str]:
    """Return names for virtual devices: ``device`` becomes ``device-001`` and so on."""
    width = len(str(devices))
    return [f"{name}-{number:0{width}d}" for number in range(1, devices + 1)]


def _virtual(settings: DeviceSettings, name: str, place: int, devices: int) -> DeviceSettings:
    """Return the settings of one of many devices: nothing on disk, and no port of its own.

    Its heartbeat is a little slower than its neighbour's, or all statuses would come at once.
    """
    heartbeat_s = max(settings.heartbeat_s, devices / _STATUSES_PER_S) * (1 + place / devices)
    heartbeat_s = min(heartbeat_s, 3600.0)
    return msgspec.structs.replace(
        settings,
        agent=name,
        state="",
        metrics=MetricsSettings(),
        node=NodeSettings(report=False),  # they share this machine, its model and its counters
        heartbeat_s=heartbeat_s,
    )


def _make_room_for_files(devices: int) -> None:
    """Raise this process's limit on open files as far as the devices need."""
    wanted = devices * _FILES_PER_DEVICE + _FILES_BESIDES
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        if hard != resource.RLIM_INFINITY and hard < wanted:
            raise SettingsError(
                f"{devices} devices need {wanted} open files and this system allows {hard}; "
                "ask for fewer devices or raise the limit (ulimit -n)"
            )
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
