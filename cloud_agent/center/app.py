"""A centre: hears the fleet, says that it is there, and answers whoever asks what it knows."""

from __future__ import annotations

import asyncio
import contextlib
import time
from pathlib import Path
from typing import TYPE_CHECKING, Final

from cloud_agent.center.events import EventLog
from cloud_agent.center.registry.history import FleetHistory
from cloud_agent.center.registry.listener import FleetListener
from cloud_agent.center.registry.members import Registry
from cloud_agent.center.rollouts.driver import Rollouts
from cloud_agent.center.rounds.task_rounds import TaskRounds
from cloud_agent.center.shipping.shipping import Shipping
from shared.bus import Will
from shared.bus.mqtt.bus import MqttBus
from shared.errors import BusError, SettingsError
from shared.nodes.signing import ManifestVerifier
from shared.nodes.store import BundleStore
from shared.supervision import Supervised
from shared.wire.control import CenterWord, encode_word
from shared.wire.topics import Topics

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Sequence

    from cloud_agent.center.settings import CenterPart
    from shared.bus import Bus
    from shared.bus.mqtt.settings import MqttSettings

    Connect = Callable[[str, Will | None], Bus]

_GOODBYE_S: Final = 1.0


class Center:
    """One running centre."""

    def __init__(self, settings: CenterPart, topics: Topics, connect: Connect) -> None:
        self.settings = settings
        self.topics = topics
        self.events = EventLog()
        self.registry = Registry(settings.lease_s)
        self.history = FleetHistory()
        self._epoch = int(time.time() * 1000)
        self.blobs_url = settings.web.url
        """Where agents fetch blobs; known once the page listens."""
        will = Will(topics.center, encode_word(CenterWord(state="offline", epoch=self._epoch)))
        self.bus = connect(settings.name, will)
        self.listener = FleetListener(self.bus, topics, self.registry, self.events)
        verifier = None
        if settings.authority:
            verifier = ManifestVerifier.read(Path(settings.authority), settings.site)
        self.shipping = Shipping(
            self.bus,
            topics,
            self.registry,
            BundleStore(Path(settings.state) / "models"),
            self.events,
            verifier,
            settings.share_from,
        )
        self.rollouts = Rollouts(self.shipping, self.registry, self.events)
        self.rounds: TaskRounds | None = None
        if settings.rounds is not None:
            self.rounds = TaskRounds(
                settings.name,
                settings.rounds,
                self.bus,
                topics,
                self.registry,
                self.events,
                self._assign,
                lambda: {bundle.digest for bundle in self.shipping.bundles},
            )
        self._tasks: list[Supervised] = []

    @classmethod
    @contextlib.asynccontextmanager
    async def open(
        cls, settings: CenterPart, mqtt: MqttSettings, connect: Connect | None = None
    ) -> AsyncIterator[Center]:
        """Run a centre for as long as the context lasts. Raises ``SettingsError``."""
        connect = connect or (lambda name, will: MqttBus(mqtt, name, will=will))
        center = cls(settings, Topics(mqtt.root), connect)
        center.shipping.store.open()
        try:
            await center.start()
            yield center
        finally:
            await center.stop()
            center.shipping.store.close()

    async def start(self) -> None:
        """Begin to hear the fleet, and say so."""
        self.shipping.start()
        self.rollouts.start()
        await self.bus.start()
        await self.listener.start()
        await self.shipping.pieces.start()
        self.bus.watch(self._note)
        if self.rounds is not None:
            await self.rounds.start()
            self._tasks.append(Supervised("rounds", self.rounds.run))
        self._tasks += [
            Supervised("leases", self.listener.run),
            Supervised("history", self._sample),
        ]

    async def stop(self) -> None:
        """Say goodbye, and end."""
        self.events.close()
        for task in self._tasks:
            await task.stop()
        with contextlib.suppress(BusError, asyncio.TimeoutError):
            await asyncio.wait_for(self._say("offline"), _GOODBYE_S)
        await self.bus.close()

    async def _assign(self, agents: Sequence[str], digest: str, reason: str) -> None:
        """Have agents serve a bundle as a placement has it, unless a rollout has them in hand."""
        rollout = self.rollouts.current
        if rollout is not None and rollout.phase == "canary":
            raise SettingsError(f"a rollout of {rollout.name} is under way")
        await self.shipping.assign(agents, digest, reason)

    async def _sample(self) -> None:
        """Keep samples of the fleet, and look after the rollout, until cancelled."""
        while True:
            await asyncio.sleep(self.settings.telemetry_s)
            self.history.sample(self.registry, time.time())
            await self.rollouts.look()

    def _note(self, connected: bool) -> None:
        if connected:
            self._saying = asyncio.ensure_future(self._announce())

    async def announce(self) -> None:
        """Say that this centre is there, and where its blobs are."""
        await self._announce()

    async def _announce(self) -> None:
        with contextlib.suppress(BusError):  # said again with the next connection
            await self._say("online")
        await self.shipping.announce()

    async def _say(self, state: str) -> None:
        word = CenterWord(
            state="online" if state == "online" else "offline",
            epoch=self._epoch,
            telemetry_s=self.settings.telemetry_s,
            blobs=self.blobs_url,
            explain=self.settings.explain,
        )
        await self.bus.publish(self.topics.center, encode_word(word), retain=True)
