"""The watcher hands on what agents say of themselves, and nothing that is no status."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from shared.bus.memory import MemoryBroker
from shared.membership.status import Status, encode_status
from shared.membership.watcher import HeardStatus, StatusWatcher
from shared.telemetry.metrics import Metrics
from shared.telemetry.rejections import RejectionLog
from shared.wire.topics import StatusAddress, Topics
from tests.support.wires import eventually, settled

if TYPE_CHECKING:
    from shared.bus.memory import MemoryBus

ONLINE = Status("online", 1, ("classify",))
EDGE, CLOUD = StatusAddress("edge", "edge-1"), StatusAddress("cloud", "cloud-1")


class Bench:
    """A watcher on a memory bus, and the test in the place of the agents."""

    def __init__(self, rejections: RejectionLog | None = None) -> None:
        broker = MemoryBroker()
        self.bus: MemoryBus = broker.client("watcher")
        self.agents: MemoryBus = broker.client("agents")
        self.heard: list[tuple[StatusAddress, Status | None]] = []
        self.kept: list[bool] = []
        self.watcher = StatusWatcher(self.bus, Topics(), self._note, rejections)

    def _note(self, heard: HeardStatus) -> None:
        self.heard.append((heard.address, heard.status))
        self.kept.append(heard.kept)

    async def start(self) -> Bench:
        await settled(self.bus)
        await settled(self.agents)
        return self

    async def say(self, address: StatusAddress, payload: bytes) -> None:
        await self.agents.publish(Topics().status(*address), payload, retain=True)


async def test_statuses_are_handed_on_with_whose_they_are_and_an_empty_one_as_none() -> None:
    bench = await Bench().start()
    await bench.watcher.watch()

    await bench.say(EDGE, encode_status(ONLINE))
    await bench.say(CLOUD, b"")

    await eventually(lambda: len(bench.heard) == 2)
    assert bench.heard == [(EDGE, ONLINE), (CLOUD, None)]


async def test_only_the_tier_that_is_watched_is_heard() -> None:
    bench = await Bench().start()
    await bench.watcher.watch("cloud")

    await bench.say(EDGE, encode_status(ONLINE))
    await bench.say(CLOUD, encode_status(ONLINE))

    await eventually(lambda: bool(bench.heard))
    assert bench.heard == [(CLOUD, ONLINE)]


async def test_who_listens_no_more_hears_nothing_and_later_what_the_broker_kept() -> None:
    bench = await Bench().start()
    await bench.watcher.watch("edge")
    await bench.say(EDGE, encode_status(ONLINE))
    await eventually(lambda: len(bench.heard) == 1)

    bench.watcher.ignore("edge")
    await bench.say(EDGE, encode_status(Status("online", 2)))
    await bench.say(EDGE, encode_status(Status("online", 3)))
    await bench.watcher.watch("edge")

    await eventually(lambda: len(bench.heard) == 2)
    assert bench.heard[1] == (EDGE, Status("online", 3))
    assert bench.kept == [False, True]


@pytest.mark.parametrize("counted", [True, False])
async def test_a_malformed_status_is_counted_where_asked_and_never_handed_on(counted: bool) -> None:
    metrics = Metrics()
    bench = await Bench(RejectionLog(metrics) if counted else None).start()
    await bench.watcher.watch()

    await bench.say(EDGE, b"junk")
    await bench.say(CLOUD, encode_status(ONLINE))

    await eventually(lambda: bool(bench.heard))
    assert bench.heard == [(CLOUD, ONLINE)]
    labels = {"fault": "malformed"}
    refused = metrics.registry.get_sample_value("recserve_refused_total", labels) or 0
    assert refused == int(counted)
