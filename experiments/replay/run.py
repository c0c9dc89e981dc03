"""One replay, from its plays to the records in its folder; Ctrl-C ends it with what was done."""

from __future__ import annotations

import asyncio
import contextlib
import resource
import signal
import sys
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar

import msgspec

from experiments.replay import records, saturation
from experiments.replay.device_targets import AskedDevices, VirtualDevices
from experiments.replay.live_view import Watch
from experiments.replay.load_generator import LoadGenerator
from experiments.replay.pacing import LoopClock
from experiments.replay.records import RecordWriter, open_records, read_records
from experiments.replay.run_file import make_folder, write_run
from experiments.replay.sampler import Sampler, ScrapeTarget
from experiments.testbed.fleet import Fleet
from shared.json_lines import appending
from shared.wire.topics import Topics

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Coroutine, Iterator, Sequence
    from pathlib import Path

    from rich.console import Console

    from experiments.replay.environment import Environment
    from experiments.replay.run_file import RunFile
    from experiments.replay.schedule import ScheduledRequest
    from experiments.replay.settings import ReplaySettings

_Value = TypeVar("_Value")
_LATEST_S = 10.0
_TURN_S = 0.2
"""Between everything being up and the first prompt: the agents' statuses arrive."""


class Rest(NamedTuple):
    """What is left of a run: its plays, the time at which to go on, and how many were done."""

    plays: list[ScheduledRequest]
    start_s: float
    done: int


def what_is_left(plays: Sequence[ScheduledRequest], folder: Path, pace: str) -> Rest:
    """Return all of a new run, or the rest of one that stopped.

    Prompts that were given up on go out at once when the run goes on. Raises ``DataError``.
    """
    if not (folder / records.FILE).exists():
        return Rest(list(plays), 0.0, 0)
    known = read_records(folder)
    done = {record.number for record in known}
    reached_s = max((record.done_s for record in known), default=0.0)
    following = max(done, default=-1) + 1
    start_s = reached_s
    if pace == "open" and following < len(plays):
        start_s = plays[following].at_s if following else 0.0
    rest = [
        play._replace(at_s=max(play.at_s, start_s)) for play in plays if play.number not in done
    ]
    return Rest(rest, start_s, len(done))


async def play(
    settings: ReplaySettings,
    place: Environment,
    names: Sequence[str],
    plays: Sequence[ScheduledRequest],
    run: RunFile,
    folder: Path,
    console: Console,
) -> RunFile:
    """Play what is left of a run into its folder; return its file as it stands afterwards.

    The folder is the run's from when whom it asks can be reached, and not before.
    """
    rest = what_is_left(plays, folder, settings.pace.kind)
    async with contextlib.AsyncExitStack() as stack:
        target = await stack.enter_async_context(_target(place, names))
        seats = list(place.seats)
        if isinstance(target, VirtualDevices):
            seats.append(
                ScrapeTarget("virtual devices", place.tiers[0], metrics=target.fleet.metrics)
            )
            run = msgspec.structs.replace(run, connected_s=round(target.fleet.connected_s, 3))
        make_folder(folder)
        write_run(folder, run)
        writer = stack.enter_context(open_records(folder))
        await asyncio.sleep(_TURN_S)
        clock = LoopClock(rest.start_s)
        watched = Sampler.open(seats, place.mqtt, clock, folder, heartbeats_of=place.tiers[1:])
        await stack.enter_async_context(watched)
        player = _player(settings, target, writer, clock, place, run)
        ticks = stack.enter_context(appending(folder / saturation.FILE))
        intended_s = [each.at_s for each in plays] if settings.pace.kind == "open" else ()
        watch = Watch(player.tally, clock, console, ticks, intended_s=intended_s, before=rest.done)
        stopped, unfinished = await _until_done(settings, player, rest, watch, writer, len(plays))
        return msgspec.structs.replace(
            run,
            state="interrupted" if stopped else "whole",
            played_s=round(max(clock.now_s(), run.played_s), 3),
            unfinished=unfinished,
            twice=run.twice + (target.twice if isinstance(target, AskedDevices) else 0),
            memory_megabytes=_most_memory_megabytes(),
        )


@contextlib.asynccontextmanager
async def _target(
    place: Environment, names: Sequence[str]
) -> AsyncIterator[VirtualDevices | AskedDevices]:
    if place.template is None:
        async with AskedDevices.open(place.mqtt, names) as asked:
            yield asked
    else:
        async with Fleet.open(place.template, names) as fleet:
            yield VirtualDevices(fleet)


def _player(
    settings: ReplaySettings,
    target: VirtualDevices | AskedDevices,
    writer: RecordWriter,
    clock: LoopClock,
    place: Environment,
    run: RunFile,
) -> LoadGenerator:
    return LoadGenerator(
        target,
        writer,
        clock,
        Topics(place.mqtt.root),
        run=run.id,
        timeout_s=settings.timeout_s,
        keep_text=settings.keep_text,
    )


async def _until_done(
    settings: ReplaySettings,
    player: LoadGenerator,
    rest: Rest,
    watch: Watch,
    writer: RecordWriter,
    prompts: int,
) -> tuple[bool, int]:
    """Play until all is done or somebody stops it; return whether, and how many were given up."""
    besides = [asyncio.create_task(watch.run(prompts)), asyncio.create_task(_flush(writer))]
    longest_s = max((play.timeout_s or 0.0 for play in rest.plays), default=0.0)
    patience_s = max(longest_s, settings.timeout_s) + _LATEST_S
    try:
        with _interrupts() as stop:
            if settings.pace.kind == "open":
                playing = player.play_open(rest.plays)
            else:
                playing = player.play_closed(rest.plays, settings.pace.in_flight)
            if await _unless(stop, playing):
                finished = await _unless(stop, player.finish(patience_s))
                if finished:
                    return False, finished.result()
            stop.clear()
            finished = await _unless(stop, player.finish(settings.drain_s))
            return True, finished.result() if finished else await player.finish(0.0)
    finally:
        for task in besides:
            task.cancel()
        await asyncio.gather(*besides, return_exceptions=True)


async def _unless(
    stop: asyncio.Event, work: Coroutine[Any, Any, _Value]
) -> asyncio.Task[_Value] | None:
    """Return the work when it is done; None, with the work broken off, when ``stop`` comes first.

    A second Ctrl-C breaks off what the first one began.
    """
    doing, stopping = asyncio.create_task(work), asyncio.create_task(stop.wait())
    await asyncio.wait({doing, stopping}, return_when=asyncio.FIRST_COMPLETED)
    stopping.cancel()
    if doing.done():
        doing.result()
        return doing
    doing.cancel()
    await asyncio.gather(doing, return_exceptions=True)
    return None


async def _flush(writer: RecordWriter) -> None:
    while True:
        await asyncio.sleep(1.0)
        writer.flush()


@contextlib.contextmanager
def _interrupts() -> Iterator[asyncio.Event]:
    """Turn Ctrl-C and SIGTERM into an event for as long as the context lasts."""
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stop.set)
    try:
        yield stop
    finally:
        for number in (signal.SIGINT, signal.SIGTERM):
            loop.remove_signal_handler(number)


def _most_memory_megabytes() -> float:
    """Return the most memory that this process has held."""
    most = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return round(most / (1 << 20 if sys.platform == "darwin" else 1 << 10), 1)
