"""What a prompt costs the agents of this machine: real ones are started and watched at work.

One small model for all, so that it is the agents that are measured. Prompts take three ways: kept
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
from typing import TYPE_CHECKING, Final, NamedTuple
from uuid import uuid4

import msgspec
from prometheus_client import ProcessCollector

from experiments.playback.pacing import LoopClock
from experiments.playback.player import Player
from experiments.playback.plays import Play
from experiments.playback.records import open_records
from experiments.playback.target import Question, Reply
from planning.measured import Cost, Handling
from planning.service_times import expected_us
from recserve.fleet import Fleet, names_like
from recserve.processes import UpSettings, free_port, plan, running
from recserve.replay_place import seat_of
from recserve.sampling import Sampler, Seat
from shared.policies import Keep, Pass
from shared.settings import DeviceSettings
from shared.settings_file import load
from shared.topics import Topics

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Sequence

    from planning.measured import ModelTimes
    from shared.settings import MqttSettings

UP: Final = Path(__file__).parents[1] / "configs" / "up.yaml"
PAUSE_S: Final = 0.02
_COLD_PROMPTS: Final = 120
_WARM_PROMPTS: Final = 900
_WARM_UP_PROMPTS: Final = 200
_DEVICES: Final = 8
_IN_FLIGHT: Final = 32
_SETTLE_S: Final = 0.5
_WATCHED_S: Final = 3
_US: Final = 1e6

WAYS: Final = {
    "device": (Keep(), "keep"),
    "edge": (Pass(), "keep"),
    "cloud": (Pass(), "pass"),
}
"""Who answers, and the policies of device and edge that see to it."""


class Spent(NamedTuple):
    """What a prompt took: the median time to its answer, and core seconds of each process."""

    latency_s: float
    cpu_s: dict[str, float]


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


class Place(NamedTuple):
    """Devices in this process, all processes by name, and where the agents show their metrics."""

    fleet: Fleet
    pids: dict[str, int]
    seats: Sequence[Seat]
    mqtt: MqttSettings


async def measure_handling(
    source: str, texts: Sequence[str], rounds: int, say: Callable[[str], None]
) -> Agents:
    """Watch agents with the model in ``source`` at prompts of these texts.

    The ways take turns, so that all see the same weather of a shared machine.
    """
    seen: dict[str, list[tuple[Spent, Spent]]] = {name: [] for name in WAYS}
    watched: list[Spent] = []
    replayed: list[tuple[Spent, Spent]] = []
    async with contextlib.AsyncExitStack() as stack:
        places = {name: await stack.enter_async_context(_way(name, source)) for name in WAYS}
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
    )


def make_handling(agents: Agents, times: ModelTimes) -> Handling:
    """Take the processes' shares apart; ``times`` are those of the model that the agents ran."""
    device, edge, cloud = (agents.ways[name] for name in WAYS)
    warm_model_us = expected_us(times, [round(agents.text_bytes)])
    model = Cost(warm_model_us + times.cold_us, warm_model_us)

    def of(way: Way, process: str) -> Cost:
        return Cost(way.cold.cpu_s[process] * _US, way.warm.cpu_s[process] * _US)

    keep = _less(of(device, "fleet"), model)
    escalate = _less(of(edge, "fleet"), of(device, "fleet"))
    answer = _less(of(edge, "edge-1"), model)
    pass_on = _less(of(cloud, "edge-1"), model)
    message = Cost(*(us / 2 for us in msgspec.structs.astuple(of(edge, "broker"))))
    beyond_us = (edge.cold.latency_s - device.cold.latency_s) * _US - model.cold_us
    worked_us = escalate.cold_us + answer.cold_us + 2 * message.cold_us
    return Handling(
        keep=keep,
        escalate=escalate,
        answer=answer,
        pass_on=pass_on,
        message=message,
        generate=of(agents.replay, "fleet"),
        watch_us=agents.watched.cpu_s["fleet"] * _US,
        on_path=min(max(beyond_us / worked_us, 0.1), 1.0) if worked_us else 1.0,
    )


def _less(whole: Cost, part: Cost) -> Cost:
    return Cost(max(whole.cold_us - part.cold_us, 0.0), max(whole.warm_us - part.warm_us, 0.0))


@contextlib.asynccontextmanager
async def _way(name: str, source: str) -> AsyncIterator[Place]:
    """Start a broker, an edge and a cloud agent; yield a fleet of devices here."""
    device_policy, edge_policy = WAYS[name]
    model = {"model.source": source, "model.threads": 1, "model.batch_prompts": 1}
    quiet = {
        "log.format": "json",
        "log.level": "warning",
    }
    with tempfile.TemporaryDirectory() as folder:
        up = load(UpSettings, UP)
        broker = msgspec.structs.replace(up.broker, port=free_port(), data_dir=f"{folder}/broker")
        entries = tuple(
            msgspec.structs.replace(
                entry,
                set={
                    **entry.set,
                    "metrics.port": free_port(),
                    **({"tier.policy": {"kind": edge_policy}} if entry.role == "edge" else {}),
                },
            )
            for entry in up.agents
        )
        up = msgspec.structs.replace(up, broker=broker, agents=entries)
        agents = plan(up, overrides={**model, **quiet})
        uppers = [agent for agent in agents if agent.role != "device"]
        template = next(a.settings for a in agents if isinstance(a.settings, DeviceSettings))
        tier = msgspec.structs.replace(template.tier, policy=device_policy)
        template = msgspec.structs.replace(template, tier=tier)
        logs = Path(folder) / "logs"
        logs.mkdir()
        async with (
            running(broker, uppers, logs) as processes,
            Fleet.open(template, names_like("measured", _DEVICES)) as fleet,
        ):
            await asyncio.sleep(_SETTLE_S)  # the agents' statuses arrive
            seats = tuple(seat_of(agent) for agent in uppers)
            yield Place(fleet, {**processes.pids(), "fleet": os.getpid()}, seats, template.mqtt)


async def _paced(place: Place, texts: Sequence[str]) -> Spent:
    """Send one prompt at a time, with a pause before each."""
    latencies_s = []
    before_s = _cpu_s(place.pids)
    for number in range(_COLD_PROMPTS):
        await asyncio.sleep(PAUSE_S)
        latencies_s.append(await _ask(place.fleet, texts, number))
    return _spent(latencies_s, before_s, _cpu_s(place.pids))


async def _closed(place: Place, texts: Sequence[str], prompts: int = _WARM_PROMPTS) -> Spent:
    """Keep many prompts under way."""
    room = asyncio.Semaphore(_IN_FLIGHT)

    async def one(number: int) -> float:
        async with room:
            return await _ask(place.fleet, texts, number)

    before_s = _cpu_s(place.pids)
    latencies_s = await asyncio.gather(*(one(number) for number in range(prompts)))
    return _spent(latencies_s, before_s, _cpu_s(place.pids))


async def _watched(place: Place) -> Spent:
    """Look at the agents as a replay does, while nobody asks anything; spent is per second."""
    with tempfile.TemporaryDirectory() as folder:
        seats = [*place.seats, Seat("virtual devices", "device", metrics=place.fleet.metrics)]
        clock = LoopClock()
        async with Sampler.open(seats, place.mqtt, clock, Path(folder), heartbeats_of=("edge",)):
            before_s = _cpu_s(place.pids)
            await asyncio.sleep(_WATCHED_S)
            return _spent([0.0] * _WATCHED_S, before_s, _cpu_s(place.pids))


async def _ask(fleet: Fleet, texts: Sequence[str], number: int) -> float:
    device = fleet.devices[number % len(fleet.devices)]
    begun_s = time.perf_counter()
    await fleet.ask(Question(uuid4(), device, "classify", texts[number % len(texts)], 60.0))
    return time.perf_counter() - begun_s


def _spent(
    latencies_s: Sequence[float], before_s: dict[str, float], after_s: dict[str, float]
) -> Spent:
    prompts = len(latencies_s)
    cpu_s = {name: (after_s[name] - before_s[name]) / prompts for name in after_s}
    return Spent(statistics.median(latencies_s), cpu_s)


class _Echo:
    """A target that answers at once, so that only the replay is at work."""

    devices = ("device-1",)

    async def ask(self, question: Question) -> Reply:
        """Answer."""
        del question
        return Reply("positive")


async def _replay(texts: Sequence[str], prompts: int, pause_s: float = 0.0) -> Spent:
    """Replay prompts to nobody: what a replay spends on each besides its devices."""
    ourselves = {"fleet": os.getpid()}
    plays = [
        Play(number, number * pause_s, _Echo.devices[0], "classify", text, "positive", None)
        for number, text in enumerate(texts[row % len(texts)] for row in range(prompts))
    ]
    with tempfile.TemporaryDirectory() as folder, open_records(Path(folder)) as writer:
        player = Player(_Echo(), writer, LoopClock(), Topics(), run="measure", timeout_s=30.0)
        before_s = _cpu_s(ourselves)
        await player.play_open(plays)
        await player.finish(10.0)
        return _spent([0.0] * prompts, before_s, _cpu_s(ourselves))


def _cpu_s(pids: dict[str, int]) -> dict[str, float]:
    """Return the core seconds that processes have spent since they began."""
    return {name: _process_s(pid) for name, pid in pids.items()}


def _process_s(pid: int) -> float:
    families = ProcessCollector(pid=lambda: pid, registry=None).collect()
    samples = (sample for family in families for sample in family.samples)
    return next(s.value for s in samples if s.name == "process_cpu_seconds_total")
