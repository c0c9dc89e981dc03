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
from shared.protocol.batch_queue import STOPPING, TIME_RAN_OUT, Queue
from shared.protocol.fair_queue import FairQueue, Full
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
_SMOOTHING: Final = 0.1


class _Turn:
    """A prompt that waits for its turn, and whether it has it."""

    __slots__ = ("came", "has_it")

    def __init__(self) -> None:
        self.came: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self.has_it = False


class Caller:
    """A server's model, what is under way there, and the queue before it."""

    def __init__(
        self,
        model: Remote,
        *,
        queue_prompts: int,
        limit_s: float = math.inf,
        metrics: Metrics | None = None,
    ) -> None:
        self.model: Model = model
        self.hung = asyncio.Event()
        """Never set: a server that hangs costs its prompts their time, and not us our life."""
        self.service_s = 0.0
        """Smoothed time for one prompt, as many at a time as may be."""
        self._remote = model
        self._limit_s = limit_s
        self._metrics = metrics
        self._queue: FairQueue[_Turn] = FairQueue(queue_prompts)
        self._running: set[asyncio.Task[Scored]] = set()
        self._taken = 0
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
        return len(self._queue) + self._taken

    @property
    def wait_s(self) -> float:
        """How long the server will take for all that waits, until it takes anything included."""
        return self._pause_s() + self.waiting * self.service_s

    def queue_for(self, origin: str) -> Queue:
        """Return how long a prompt of an origin that came now would wait, and whether it may."""
        pause_s = self._pause_s()
        full = self._queue.full_for(origin) or (self._hopeless and pause_s > 0)
        if self._taken < self._remote.at_once:
            return Queue(pause_s, full)
        return Queue(pause_s + (1 + self._queue.ahead_of(origin)) * self.service_s, full)

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
                self._taken -= 1
                self._hand_on()
            else:
                turn.came.cancel()

    def exchange(self, model: Model) -> None:
        """Have another model asked from now on; what is under way ends with the one before.

        Raises ``BundleError`` for a model of another runtime.
        """
        if not isinstance(model, Remote):
            raise BundleError(
                "an agent that asks a server goes on with another runtime only after a restart"
            )
        self._remote = self.model = model
        self.service_s = 0.0
        self._not_before_s, self._hopeless = -math.inf, False

    async def close(self) -> None:
        """Turn away what waits, and break off what is under way."""
        self._stopping = True
        for turn in self._queue.take(len(self._queue)):
            _refuse(turn, Stopping(STOPPING))
        for running in self._running:
            running.cancel()
        if self._running:
            await asyncio.wait(self._running)
        await self._remote.leave()

    # -- turns -----------------------------------------------------------------------------------

    def _put(self, turn: _Turn, request: Request, priority: int, origin: str) -> None:
        if self._stopping:
            raise Stopping(STOPPING)
        before = len(self._queue)
        try:
            displaced = self._queue.put(turn, origin, priority, request.size_bytes)
        except Full:
            raise _busy(before) from None
        for other in displaced:
            _refuse(other, _busy(before))
        self._hand_on()

    def _hand_on(self) -> None:
        """Give turns to those whose they are, for as long as there are any."""
        while self._taken < self._remote.at_once and self._queue:
            for turn in self._queue.take(1):
                if not turn.came.done():
                    turn.has_it = True
                    turn.came.set_result(None)
                    self._taken += 1

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
        for own_pause_s in (*_PAUSES_S, None):
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
            if left_s <= self._limit_s:
                raise Expired(TIME_RAN_OUT) from None
            raise ModelFailed(
                f"the model's server gave no answer within {self._limit_s:g} s"
            ) from None
        self._measure((time.monotonic() - started_s) / remote.at_once)
        self._hopeless = False
        return scored

    def _heed(self, away: ServerAway, own_pause_s: float) -> None:
        """Take note that the server takes nothing for a while."""
        pause_s = _HOPELESS_S if away.hopeless else away.again_s
        until_s = time.monotonic() + (own_pause_s if pause_s is None else pause_s)
        self._not_before_s = max(self._not_before_s, until_s)
        if away.hopeless and not self._hopeless:
            _log.error("the server refuses us", model=self.model.name, reason=str(away))
        self._hopeless = away.hopeless

    async def _until_asked_again(self, deadline_s: float) -> None:
        """Wait until the server may be asked. Raises ``ServerAway`` if that is too late."""
        while (pause_s := self._pause_s()) > 0:
            if time.monotonic() + pause_s >= deadline_s:
                raise ServerAway(f"the model's server takes nothing for another {pause_s:.1f} s")
            await asyncio.sleep(pause_s)

    def _pause_s(self) -> float:
        return max(0.0, self._not_before_s - time.monotonic())

    def _measure(self, prompt_s: float) -> None:
        smoothing = _SMOOTHING if self.service_s else 1.0
        self.service_s += (prompt_s - self.service_s) * smoothing


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


def _refuse(turn: _Turn, error: Busy | Stopping) -> None:
    if not turn.came.done():
        turn.came.set_exception(error)


def _busy(waiting: int) -> Busy:
    return Busy(f"{waiting} prompts are waiting already")
