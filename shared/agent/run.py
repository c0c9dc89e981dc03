"""Runs what ``shared.agent.build`` joined: starts it in order, and ends it in order."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import threading
from typing import TYPE_CHECKING

from shared.agent.build import build_agent, mqtt
from shared.agent.learned import keeping_what_is_learned
from shared.agent.reload import reloading
from shared.agent.service import make_service, open_results
from shared.errors import Fenced
from shared.runtimes import short_digest
from shared.storage.state_dir import state_folder
from shared.telemetry.log import flush_log, get_logger

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
    from contextlib import AbstractAsyncContextManager

    from shared.agent.build import AgentParts, Connect
    from shared.agent.reload import Reread
    from shared.agent.settings import AgentSettings
    from shared.runtimes import Model
    from shared.serving.solver import ModelRunner, Observer, Solver, Witness
    from shared.telemetry.metrics import Metrics

_log = get_logger()
_LAST_WORDS_S = 1.0
_LEAVING_S = 8.0
"""For the last words, the models' threads and the connections; a unit kills after 20 s."""
_STOPPING = (signal.SIGTERM, signal.SIGINT)
HUNG = 4
"""Exit status of an agent that cannot go on: whoever watches over it starts it again."""


@contextlib.asynccontextmanager
async def run_agent(
    parts: AgentParts, drain: Callable[[], Awaitable[object]]
) -> AsyncIterator[None]:
    """Run model, bus and presence for as long as the context lasts.

    On leaving, the agent first says that it is gone, then ``drain`` finishes what is in hand, what
    still waits for the model is turned away and told, and only then the connection ends.
    """
    async with contextlib.AsyncExitStack() as leaving:
        leaving.callback(parts.slot.close)
        leaving.callback(parts.metrics.close)
        if parts.station.dispatcher is not None:
            leaving.callback(parts.station.dispatcher.stop)
        for bus in parts.buses:
            leaving.push_async_callback(bus.close)
        leaving.push_async_callback(_last_words, drain)
        leaving.push_async_callback(parts.batcher.close)
        leaving.push_async_callback(drain)
        parts.batcher.start()
        for bus in parts.buses:
            await bus.start()
        presence = asyncio.create_task(parts.announcer.run(parts.bus), name="presence")
        presence.add_done_callback(_note_end)
        leaving.push_async_callback(_cancel, presence)
        parts.presence = presence
        await parts.node.start()
        leaving.push_async_callback(parts.node.stop)
        yield


@contextlib.asynccontextmanager
async def serving(
    settings: AgentSettings,
    *,
    model: Model | None = None,
    connect: Connect = mqtt,
    metrics: Metrics | None = None,
    before: Callable[[ModelRunner], Solver] | None = None,
    observers: Sequence[Observer] = (),
    witnesses: Sequence[Witness] = (),
) -> AsyncIterator[AgentParts]:
    """Serve prompts from the bus for as long as the context lasts: an edge or cloud agent.

    ``before``, ``observers`` and ``witnesses`` are as in ``build_agent``; raises what that raises.
    """
    async with contextlib.AsyncExitStack() as closing:
        folder = closing.enter_context(state_folder(settings.state, settings.agent))
        results = open_results(settings, folder)
        closing.push_async_callback(results.close)
        parts = build_agent(
            settings,
            model=model,
            connect=connect,
            metrics=metrics,
            before=before,
            observers=observers,
            witnesses=witnesses,
        )
        await closing.enter_async_context(keeping_what_is_learned(folder, settings, parts))
        service = parts.service = make_service(settings, parts, results)
        await service.start()
        async with run_agent(parts, lambda: service.drain(settings.limits.drain_s)):
            yield parts


async def serve(
    settings: AgentSettings,
    reread: Reread,
    *,
    running: Callable[[AgentSettings], AbstractAsyncContextManager[AgentParts]] = serving,
) -> None:
    """Serve prompts from the bus until the process is asked to stop.

    On SIGHUP the settings are ``reread`` and the model is exchanged. ``running`` is ``serving``,
    or that with something of the application's own around it.
    """
    async with running(settings) as parts, reloading(parts, settings, reread):
        _log.info(
            "agent started",
            agent=settings.agent,
            tier=settings.tier.name,
            model=parts.slot.model.name,
            bundle=short_digest(parts.slot.model),
            broker=str(settings.mqtt.brokers[0]),
        )
        await until_stopped(parts, settings.limits.drain_s)


async def until_stopped(parts: AgentParts, drain_s: float) -> None:
    """Return when the process is asked to stop; it then has ``drain_s`` and a little for the rest.

    Raises ``Fenced`` when a newer process has taken the agent's name. When the model hangs, the
    process ends at once, as if killed: what it has in hand is on the disk, or with its origin. So
    it does when it has not ended in time.
    """
    assert parts.presence is not None, "the agent runs"  # noqa: S101
    asked = asyncio.ensure_future(until_asked_to_stop())
    hung = asyncio.ensure_future(parts.batcher.hung.wait())
    await asyncio.wait({asked, hung, parts.presence}, return_when=asyncio.FIRST_COMPLETED)
    asked.cancel()
    model = parts.slot.model.name
    if hung.done():
        _break_off("the model hangs", model)
    hung.cancel()
    if parts.presence.done():
        _end_without(parts.presence)
    _log.info("stopping")
    # A thread: the loop may wait for that of the model, and the process for both.
    late = threading.Timer(drain_s + _LEAVING_S, _break_off, ("not stopped in time", model))
    late.daemon = True
    late.start()


def _end_without(presence: asyncio.Task[None]) -> None:
    """Raise the ``Fenced`` that ended our presence; of anything else the process ends."""
    error = None if presence.cancelled() else presence.exception()
    if isinstance(error, Fenced):
        raise error
    _log.critical("nobody hears of us any more, so we end, to be started again", reason=repr(error))
    flush_log()
    os._exit(HUNG)


async def until_asked_to_stop() -> None:
    """Return on SIGTERM or SIGINT; asked once more, the process ends at once, as if killed."""
    stopped = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in _STOPPING:
        loop.add_signal_handler(number, stopped.set)
    await stopped.wait()
    for number in _STOPPING:
        loop.add_signal_handler(number, os._exit, 128 + number)


def _break_off(event: str, model: str) -> None:
    _log.critical(event, model=model)
    flush_log()
    os._exit(HUNG)


async def _cancel(task: asyncio.Task[None]) -> None:
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)


def _note_end(presence: asyncio.Task[None]) -> None:
    if not presence.cancelled() and (error := presence.exception()) is not None:
        _log.error("presence ended", reason=str(error))


async def _last_words(drain: Callable[[], Awaitable[object]]) -> None:
    with contextlib.suppress(asyncio.TimeoutError):
        await asyncio.wait_for(drain(), _LAST_WORDS_S)
