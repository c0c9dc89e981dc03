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
    from recserve.probe import Probe
    from shared.settings import MqttSettings

UP: Final = Path(__file__).parents[1] / "configs" / "up.yaml"
PAUSE_S: Final = 0.02
_COLD_PROMPTS: Final = 400
_WARM_PROMPTS: Final = 3000
_WARM_UP_PROMPTS: Final = 200
_DEVICES: Final = 8
_IN_FLIGHT: Final = 32
_SETTLE_S: Final = 0.5
_WATCHED_S: Final = 8
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


class Place(NamedTuple):
    """Devices in this process, all processes by name, and where the agents show their metrics."""

    fleet: Fleet
    pids: dict[str, int]
    seats: Sequence[Seat]
    mqtt: MqttSettings


class Stretch(NamedTuple):
    """A stretch of time on the monotonic clock, and what was seen in it."""

    begin_s: float
    end_s: float
    spent: Spent


async def measure_handling(
    source: str,
    times: Callable[[], ModelTimes],
    texts: Sequence[str],
    probe: Probe,
    say: Callable[[str], None],
) -> Handling:
    """Return what agents spend on prompts of these texts, at the machine's mean speed.

    ``times`` are those of the model in the bundle ``source``.
    """
    seen: dict[str, tuple[Stretch, Stretch]] = {}
    for name in WAYS:
        say(f"prompts that the {name} answers")
        async with _way(name, source) as place:
            await _closed(place, texts, _WARM_UP_PROMPTS)
            seen[name] = await _paced(place, texts), await _closed(place, texts)
            if name == "device":
                watched = await _watched(place)
    say("the replay itself")
    replay = [await _replay(texts, _COLD_PROMPTS, PAUSE_S), await _replay(texts, _WARM_PROMPTS)]
    ways = {
        name: Way(*(_at_mean_speed(stretch, probe) for stretch in both))
        for name, both in seen.items()
    }
    watch_us = _at_mean_speed(watched, probe).cpu_s["fleet"] * _US
    generate = Cost(*(_at_mean_speed(one, probe).cpu_s["replay"] * _US for one in replay))
    return _handling(
        ways, generate, watch_us, times(), statistics.mean(len(t.encode()) for t in texts)
    )


def _at_mean_speed(stretch: Stretch, probe: Probe) -> Spent:
    """Return what would have been spent, had the machine been as fast as it was on average."""
    speed = probe.us() / probe.us(stretch.begin_s, stretch.end_s)
    latency_s, cpu_s = stretch.spent
    return Spent(latency_s * speed, {name: spent_s * speed for name, spent_s in cpu_s.items()})


def _handling(
    ways: dict[str, Way], generate: Cost, watch_us: float, times: ModelTimes, text_bytes: float
) -> Handling:
    """Take the processes' shares apart, way by way."""
    device, edge, cloud = (ways[name] for name in WAYS)
    warm_model_us = expected_us(times, [round(text_bytes)])
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
        generate=generate,
        watch_us=watch_us,
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


async def _paced(place: Place, texts: Sequence[str]) -> Stretch:
    """Send one prompt at a time, with a pause before each."""
    begin_s = time.monotonic()
    latencies_s = []
    before_s = _cpu_s(place.pids)
    for number in range(_COLD_PROMPTS):
        await asyncio.sleep(PAUSE_S)
        latencies_s.append(await _ask(place.fleet, texts, number))
    return Stretch(begin_s, time.monotonic(), _spent(latencies_s, before_s, _cpu_s(place.pids)))


async def _closed(place: Place, texts: Sequence[str], prompts: int = _WARM_PROMPTS) -> Stretch:
    """Keep many prompts under way."""
    begin_s = time.monotonic()
    room = asyncio.Semaphore(_IN_FLIGHT)

    async def one(number: int) -> float:
        async with room:
            return await _ask(place.fleet, texts, number)

    before_s = _cpu_s(place.pids)
    latencies_s = await asyncio.gather(*(one(number) for number in range(prompts)))
    return Stretch(begin_s, time.monotonic(), _spent(latencies_s, before_s, _cpu_s(place.pids)))


async def _watched(place: Place) -> Stretch:
    """Look at the agents as a replay does, while nobody asks anything; spent is per second."""
    begin_s = time.monotonic()
    with tempfile.TemporaryDirectory() as folder:
        seats = [*place.seats, Seat("virtual devices", "device", metrics=place.fleet.metrics)]
        clock = LoopClock()
        async with Sampler.open(seats, place.mqtt, clock, Path(folder), heartbeats_of=("edge",)):
            before_s = _cpu_s(place.pids)
            await asyncio.sleep(_WATCHED_S)
            spent = _spent([0.0] * _WATCHED_S, before_s, _cpu_s(place.pids))
    return Stretch(begin_s, time.monotonic(), spent)


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


async def _replay(texts: Sequence[str], prompts: int, pause_s: float = 0.0) -> Stretch:
    """Replay prompts to nobody: what a replay spends on each besides its devices."""
    begin_s = time.monotonic()
    ourselves = {"replay": os.getpid()}
    plays = [
        Play(number, number * pause_s, _Echo.devices[0], "classify", text, "positive", None)
        for number, text in enumerate(texts[row % len(texts)] for row in range(prompts))
    ]
    with tempfile.TemporaryDirectory() as folder, open_records(Path(folder)) as writer:
        player = Player(_Echo(), writer, LoopClock(), Topics(), run="measure", timeout_s=30.0)
        before_s = _cpu_s(ourselves)
        await player.play_open(plays)
        await player.finish(10.0)
        return Stretch(
            begin_s, time.monotonic(), _spent([0.0] * prompts, before_s, _cpu_s(ourselves))
        )


def _cpu_s(pids: dict[str, int]) -> dict[str, float]:
    """Return the core seconds that processes have spent since they began."""
    return {name: _process_s(pid) for name, pid in pids.items()}


def _process_s(pid: int) -> float:
    families = ProcessCollector(pid=lambda: pid, registry=None).collect()
    samples = (sample for family in families for sample in family.samples)
    return next(s.value for s in samples if s.name == "process_cpu_seconds_total")
