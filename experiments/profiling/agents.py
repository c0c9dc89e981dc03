"""What a prompt costs the agents of this machine: real ones are started and watched at work.

Prompts take three ways: kept
on the device, answered by the edge, answered by the cloud. Each way is taken twice: one prompt at a
time with pauses between (cold), and many at a time (warm). What a process spent is what the system
says of it, less the time of the model.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import statistics
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import msgspec
from prometheus_client import ProcessCollector

from device_agent.settings import DeviceSettings
from experiments.replay.environment import seat_of
from experiments.replay.load_generator import LoadGenerator
from experiments.replay.pacing import LoopClock
from experiments.replay.records import open_records
from experiments.replay.sampler import Sampler, ScrapeTarget, look_at
from experiments.replay.schedule import ScheduledRequest
from experiments.replay.target import ReplayRequest, Response
from experiments.testbed.fleet import Fleet, names_like
from experiments.testbed.processes import UpSettings, on_free_ports, read_agents, running
from shared.cascade.policies import KeepAll, PassAll
from shared.settings.file import load
from shared.tasks.classify import Label
from shared.wire.topics import Topics

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Sequence

    from experiments.testbed.processes import AgentEntry
    from shared.bus.mqtt.settings import MqttSettings
    from shared.runtimes import ModelSettings

UP: Final = Path(__file__).parents[2] / "configs" / "up.yaml"
PAUSE_S: Final = 0.02
_COLD_PROMPTS: Final = 120
_WARM_PROMPTS: Final = 1500
_WARM_UP_PROMPTS: Final = 200
_DEVICES: Final = 8
_IN_FLIGHT: Final = 64
_SETTLE_S: Final = 0.5
_WATCHED_S: Final = 3
_US: Final = 1e6

WAYS: Final = {
    "device": (KeepAll(), "keep"),
    "edge": (PassAll(), "keep"),
    "cloud": (PassAll(), "pass"),
}
"""Who answers, and the policies of device and edge that see to it."""


class Spent(NamedTuple):
    """What a prompt took: the median time to its answer, and of each process core seconds.

    ``runs`` is how often its model ran for a prompt: less than once where several went together.
    """

    latency_s: float
    cpu_s: dict[str, float]
    runs: dict[str, float]


class Way(NamedTuple):
    """One way, taken cold and warm."""

    cold: Spent
    warm: Spent


class Agents(NamedTuple):
    """What agents took: by way, in a replay to nobody, and a second of being watched."""

    ways: dict[str, Way]
    replay: Way
    watched: Spent
    text_bytes: float


class ProfiledSite(NamedTuple):
    """Devices in this process, all processes by name, and where the agents show their metrics."""

    fleet: Fleet
    pids: dict[str, int]
    seats: Sequence[ScrapeTarget]
    mqtt: MqttSettings

    async def look(self) -> Look:
        """See what every process has spent, and how often every model has run."""
        samples = [await look_at(seat, 0.0) for seat in self.seats]
        cpu_s = {name: _process_s(pid) for name, pid in self.pids.items()}
        return Look(cpu_s, {sample.agent: sample.batches for sample in samples})


class Look(NamedTuple):
    """Core seconds and runs of the model by process, since it began."""

    cpu_s: dict[str, float]
    runs: dict[str, float]


def listed_models(file: str | Path = UP) -> list[ModelSettings]:
    """Return the models of the agents that a file lists, as they run them, lowest first.

    The file is one of ``recserve up``; agents of one role are taken to have one model.
    """
    models = {
        str(agent.role): agent.settings.model for agent in read_agents(load(UpSettings, file))
    }
    return [models[role] for role in WAYS if role in models]


async def watch_agents(
    sources: Sequence[str], texts: Sequence[str], rounds: int, say: Callable[[str], None]
) -> Agents:
    """Watch agents with the models in ``sources``, from the device up, at prompts of these texts.

    The ways take turns, so that all see the same weather of a shared machine.
    """
    seen: dict[str, list[tuple[Spent, Spent]]] = {name: [] for name in WAYS}
    watched: list[Spent] = []
    replayed: list[tuple[Spent, Spent]] = []
    async with contextlib.AsyncExitStack() as stack:
        places = {name: await stack.enter_async_context(_way(name, sources)) for name in WAYS}
        for place in places.values():
            await _closed(place, texts, _WARM_UP_PROMPTS)
        for number in range(rounds):
            say(f"agents, round {number + 1} of {rounds}")
            for name, place in places.items():
                seen[name].append((await _paced(place, texts), await _closed(place, texts)))
            watched.append(await _watched(places["device"]))
            cold = await _replay(texts, _COLD_PROMPTS, PAUSE_S)
            replayed.append((cold, await _replay(texts, _WARM_PROMPTS)))
    return Agents(
        ways={name: _way_of(both) for name, both in seen.items()},
        replay=_way_of(replayed),
        watched=_mean(watched),
        text_bytes=statistics.fmean(len(text.encode()) for text in texts),
    )


def _way_of(seen: Sequence[tuple[Spent, Spent]]) -> Way:
    cold, warm = zip(*seen, strict=True)
    return Way(_mean(cold), _mean(warm))


def _mean(seen: Sequence[Spent]) -> Spent:
    return Spent(
        statistics.fmean(spent.latency_s for spent in seen),
        {name: statistics.fmean(spent.cpu_s[name] for spent in seen) for name in seen[0].cpu_s},
        {name: statistics.fmean(spent.runs[name] for spent in seen) for name in seen[0].runs},
    )


@contextlib.asynccontextmanager
async def _way(name: str, sources: Sequence[str]) -> AsyncIterator[ProfiledSite]:
    """Start a broker, an edge and a cloud agent; yield a fleet of devices here."""
    device_policy, edge_policy = WAYS[name]
    models = dict(zip(WAYS, sources, strict=True))
    with tempfile.TemporaryDirectory() as folder:
        up = on_free_ports(load(UpSettings, UP), Path(folder) / "broker")
        entries = tuple(_entry(entry, models[entry.role], edge_policy) for entry in up.agents)
        up = msgspec.structs.replace(up, agents=entries)
        agents = read_agents(up, overrides={"log.format": "json", "log.level": "warning"})
        uppers = [agent for agent in agents if agent.role != "device"]
        template = next(a.settings for a in agents if isinstance(a.settings, DeviceSettings))
        tier = msgspec.structs.replace(template.tier, policy=device_policy)
        template = msgspec.structs.replace(template, tier=tier)
        logs = Path(folder) / "logs"
        logs.mkdir()
        async with (
            running(up.broker, uppers, logs) as processes,
            Fleet.open(template, names_like("measured", _DEVICES)) as fleet,
        ):
            await asyncio.sleep(_SETTLE_S)  # the agents' statuses arrive
            ours = ScrapeTarget("fleet", "device", metrics=fleet.metrics)
            seats = (ours, *(seat_of(agent) for agent in uppers))
            yield ProfiledSite(
                fleet, {**processes.pids(), "fleet": os.getpid()}, seats, template.mqtt
            )


def _entry(entry: AgentEntry, source: str, edge_policy: str) -> AgentEntry:
    """Return an agent as it is to run: with this model, on one thread."""
    changed: dict[str, Any] = {**entry.set, "model.source": source, "model.threads": 1}
    if entry.role == "edge":
        changed["tier.policy"] = {"kind": edge_policy}
    return msgspec.structs.replace(entry, set=changed)


async def _paced(place: ProfiledSite, texts: Sequence[str]) -> Spent:
    """Send one prompt at a time, with a pause before each."""
    latencies_s = []
    before = await place.look()
    for number in range(_COLD_PROMPTS):
        await asyncio.sleep(PAUSE_S)
        latencies_s.append(await _ask(place.fleet, texts, number))
    return _spent(latencies_s, before, await place.look())


async def _closed(place: ProfiledSite, texts: Sequence[str], prompts: int = _WARM_PROMPTS) -> Spent:
    """Keep many prompts under way."""
    room = asyncio.Semaphore(_IN_FLIGHT)

    async def one(number: int) -> float:
        async with room:
            return await _ask(place.fleet, texts, number)

    before = await place.look()
    latencies_s = await asyncio.gather(*(one(number) for number in range(prompts)))
    return _spent(latencies_s, before, await place.look())


async def _watched(place: ProfiledSite) -> Spent:
    """Look at the agents as a replay does, while nobody asks anything; spent is per second."""
    with tempfile.TemporaryDirectory() as folder:
        clock = LoopClock()
        async with Sampler.open(
            place.seats, place.mqtt, clock, Path(folder), heartbeats_of=("edge",)
        ):
            before = await place.look()
            await asyncio.sleep(_WATCHED_S)
            return _spent([0.0] * _WATCHED_S, before, await place.look())


async def _ask(fleet: Fleet, texts: Sequence[str], number: int) -> float:
    devices = list(fleet.devices.values())
    begun_s = time.perf_counter()
    await devices[number % len(devices)].ask(texts[number % len(texts)], timeout_s=60.0)
    return time.perf_counter() - begun_s


def _spent(latencies_s: Sequence[float], before: Look, after: Look) -> Spent:
    prompts = len(latencies_s)
    cpu_s = {name: (after.cpu_s[name] - before.cpu_s[name]) / prompts for name in after.cpu_s}
    runs = {name: (after.runs[name] - before.runs[name]) / prompts for name in after.runs}
    return Spent(statistics.median(latencies_s), cpu_s, runs)


class _Echo:
    """A target that answers at once, so that only the replay is at work."""

    devices = ("device-1",)

    async def ask(self, question: ReplayRequest) -> Response:
        """Answer."""
        del question
        return Response(Label("positive"))


async def _replay(texts: Sequence[str], prompts: int, pause_s: float = 0.0) -> Spent:
    """Replay prompts to nobody: what a replay spends on each besides its devices."""
    plays = [
        ScheduledRequest(
            number, number * pause_s, _Echo.devices[0], "classify", text, "positive", None
        )
        for number, text in enumerate(texts[row % len(texts)] for row in range(prompts))
    ]
    with tempfile.TemporaryDirectory() as folder, open_records(Path(folder)) as writer:
        player = LoadGenerator(
            _Echo(), writer, LoopClock(), Topics(), run="measure", timeout_s=30.0
        )
        before = Look({"fleet": _process_s(os.getpid())}, {})
        await player.play_open(plays)
        await player.finish(10.0)
        after = Look({"fleet": _process_s(os.getpid())}, {})
        return _spent([0.0] * prompts, before, after)


def _process_s(pid: int) -> float:
    families = ProcessCollector(pid=lambda: pid, registry=None).collect()
    samples = (sample for family in families for sample in family.samples)
    return next(s.value for s in samples if s.name == "process_cpu_seconds_total")
