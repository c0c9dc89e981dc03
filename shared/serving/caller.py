"""Has a server answer what waits: many requests under way at a time, none of them in a thread.

Only what cannot have begun is tried again (``ServerAway``): the connection was refused, or the
server said 503, or 429 with the time to come back at. Nobody asks it meanwhile, and what a prompt
would have to wait for that is part of the estimate. A prompt that would not be answered in time
that way, or was turned away several times, is ``Busy``: another agent may do better. Whatever
failed after it had begun is a failed attempt of its prompt. A request ends when the prompt's time
does, or after ``limit_s``: its connection is closed, by which servers know that nobody waits.
"""

from __future__ import annotations

import asyncio
import math
import time
from typing import TYPE_CHECKING, Final

from shared.errors import BundleError, Busy, Expired, ModelFailed, ServerAway, Stopping
from shared.protocol.batch_queue import STOPPING, TIME_RAN_OUT, BatchQueue, Queue
from shared.runtimes import Remote
from shared.telemetry.log import get_logger

if TYPE_CHECKING:
    from shared.messages import Scored
    from shared.runtimes import Model
    from shared.tasks import Request, Task
    from shared.telemetry.metrics import Metrics

_log = get_logger()
_PAUSES_S: Final = (0.25, 0.5, 1.0, 2.0)
"""Before each new try of one prompt, where the server names no time of its own."""
_HOPELESS_S: Final = 5.0
_LONGEST_PAUSE_S: Final = 120.0
"""A server that wants to be left alone for longer is asked all the same: it may be up again."""


class _Turn:
    """A prompt that waits for its turn, and whether it has it."""

    __slots__ = ("came", "has_it")

    def __init__(self) -> None:
        self.came: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self.has_it = False

    def done(self) -> bool:
        """Say whether nobody waits for it any more."""
        return self.came.done()

    def refuse(self, error: Busy | Stopping) -> None:
        """Tell whoever waits for it that it will not come."""
        if not self.came.done():
            self.came.set_exception(error)


class Caller:
    """A server's model, what is under way there, and the queue before it."""

    def __init__(
        self,
        model: Remote,
        *,
        queue_prompts: int,
        limit_s: float = math.inf,
        patient: bool = True,
        metrics: Metrics | None = None,
    ) -> None:
        """Ask the server of ``model``.

        Unless ``patient``, what it does not take is not tried again, nor kept waiting until it may
        be asked again: whoever asks has somewhere else to go.
        """
        self.model: Model = model
        self.hung = asyncio.Event()
        """Never set: a server that hangs costs its prompts their time, and not us our life."""
        self._remote = model
        self._limit_s = limit_s
        self._pauses_s = _PAUSES_S if patient else ()
        self._metrics = metrics
        self._queue: BatchQueue[_Turn] = BatchQueue(queue_prompts, batch_prompts=1)
        self._running: set[asyncio.Task[Scored]] = set()
        self._not_before_s = -math.inf
        self._hopeless = False
        self._stopping = False

    @property
    def tasks(self) -> frozenset[Task]:
        """Tasks that the model answers."""
        return self.model.tasks

    @property
    def waiting(self) -> int:
        """How many prompts wait or are being answered."""
        return len(self._queue) + self._queue.running

    @property
    def wait_s(self) -> float:
        """How long the server will take for all that waits, until it takes anything included."""
        return self._pause_s() + self._queue.wait_s

    @property
    def service_s(self) -> float:
        """Smoothed time for one prompt, where as many are under way as may be."""
        return self._queue.service_s

    def queue_for(self, origin: str) -> Queue:
        """Return how long a prompt of an origin that came now would wait, and whether it may."""
        pause_s = self._pause_s()
        free = self._queue.running < self._remote.at_once
        wait_s, full = self._queue.queue_for(origin)
        return Queue(pause_s + (0.0 if free else wait_s), full or (self._hopeless and pause_s > 0))

    def start(self) -> None:
        """Begin to serve: there is nothing to be begun."""

    async def solve(
        self, request: Request, *, deadline_s: float, priority: int = 0, origin: str = ""
    ) -> Scored:
        """Return the server's answer to one request; a higher ``priority`` goes first.

        Raises ``Busy`` when the queue is full or the server takes nothing in time, ``Stopping``
        when this is closed, ``Expired`` when there is no answer by ``deadline_s`` (on the monotonic
        clock), ``InvalidPrompt`` for what the server does not take, and ``ModelFailed``.
        """
        turn = _Turn()
        came_s = time.monotonic()
        self._put(turn, request, priority, origin)
        try:
            await _by(turn.came, deadline_s)
            if self._metrics is not None:
                self._metrics.queue_seconds.observe(time.monotonic() - came_s)
            return await self._run(request, deadline_s)
        finally:
            if turn.has_it:
                self._queue.leave(1, self._queue.running - 1)
                self._hand_on()
            else:
                turn.came.cancel()

    def exchange(self, model: Model) -> None:
        """Have another model asked from now on; what is under way ends with the one before.

        Raises ``BundleError`` for a model of another runtime, ``Stopping`` when this is closed.
        """
        if self._stopping:
            raise Stopping(STOPPING)
        if not isinstance(model, Remote):
            raise BundleError(
                "an agent that asks a server goes on with another runtime only after a restart"
            )
        self._remote = self.model = model
        self._queue.measure_anew()
        self._not_before_s, self._hopeless = -math.inf, False

    async def close(self) -> None:
        """Turn away what waits, and break off what is under way."""
        self._stopping = True
        for turn, stopping in self._queue.close():
            turn.refuse(stopping)
        for running in self._running:
            running.cancel()
        if self._running:
            await asyncio.wait(self._running)
        await self._remote.leave()

    # -- turns -----------------------------------------------------------------------------------

    def _put(self, turn: _Turn, request: Request, priority: int, origin: str) -> None:
        for other, busy in self._queue.put(turn, origin, priority, request.size_bytes):
            other.refuse(busy)
        self._hand_on()

    def _hand_on(self) -> None:
        """Give turns to those whose they are, for as long as there are any."""
        for turn in self._queue.join(self._remote.at_once - self._queue.running):
            turn.has_it = True
            turn.came.set_result(None)
        self._queue.leave(0, self._queue.running)

    # -- the server ------------------------------------------------------------------------------

    async def _run(self, request: Request, deadline_s: float) -> Scored:
        """Return the answer, from a task of its own: it can be broken off without its asker."""
        running = asyncio.ensure_future(self._call(request, deadline_s))
        self._running.add(running)
        running.add_done_callback(self._running.discard)
        try:
            return await running
        except asyncio.CancelledError:
            if self._stopping:
                raise Stopping(STOPPING) from None
            raise

    async def _call(self, request: Request, deadline_s: float) -> Scored:
        """Ask the server, again where that is safe."""
        for own_pause_s in (*self._pauses_s, None):
            await self._until_asked_again(deadline_s)
            try:
                return await self._try(request, deadline_s)
            except ServerAway as away:
                self._heed(away, own_pause_s or _PAUSES_S[-1])
                if away.hopeless or own_pause_s is None:
                    raise
        raise AssertionError("the last try ends it")

    async def _try(self, request: Request, deadline_s: float) -> Scored:
        started_s = time.monotonic()
        left_s = deadline_s - started_s
        remote = self._remote
        try:
            scored = await asyncio.wait_for(remote.ask(request), min(left_s, self._limit_s))
        except asyncio.TimeoutError:
            self._measure(remote, started_s)
            if left_s <= self._limit_s:
                raise Expired(TIME_RAN_OUT) from None
            raise ModelFailed(
                f"the model's server gave no answer within {self._limit_s:g} s"
            ) from None
        self._measure(remote, started_s)
        self._hopeless = False
        return scored

    def _measure(self, remote: Remote, started_s: float) -> None:
        """Take note of what an answer took, or of what was not enough for one."""
        self._queue.measure_unit((time.monotonic() - started_s) / remote.at_once)

    def _heed(self, away: ServerAway, own_pause_s: float) -> None:
        """Take note that the server takes nothing for a while."""
        pause_s = _HOPELESS_S if away.hopeless else away.again_s
        pause_s = own_pause_s if pause_s is None else min(pause_s, _LONGEST_PAUSE_S)
        self._not_before_s = max(self._not_before_s, time.monotonic() + pause_s)
        if away.hopeless and not self._hopeless:
            _log.error("the server refuses us", model=self.model.name, reason=str(away))
        self._hopeless = away.hopeless

    async def _until_asked_again(self, deadline_s: float) -> None:
        """Wait until the server may be asked. Raises ``ServerAway`` if that is too late."""
        while (pause_s := self._pause_s()) > 0:
            if not self._pauses_s or time.monotonic() + pause_s >= deadline_s:
                raise ServerAway(f"the model's server takes nothing for another {pause_s:.1f} s")
            await asyncio.sleep(pause_s)

    def _pause_s(self) -> float:
        return max(0.0, self._not_before_s - time.monotonic())


async def _by(came: asyncio.Future[None], deadline_s: float) -> None:
    """Wait for a turn; ``Expired`` if it does not come in time."""
    left_s = deadline_s - time.monotonic()
    expiry = asyncio.get_running_loop().call_later(left_s, _expire, came)
    try:
        await came
    finally:
        expiry.cancel()


def _expire(came: asyncio.Future[None]) -> None:
    if not came.done():
        came.set_exception(Expired(TIME_RAN_OUT))
