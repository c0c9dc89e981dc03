"""What a device does about prompts that went up: waits, repeats, takes results, falls back.

Every accepted prompt is in the one pending table until its result is there. Silence is answered
by sending again, a refusal by trying another agent, and the end of a prompt's time by our own
answer, marked as degraded.
"""

from __future__ import annotations

import asyncio
import random
import time
from typing import TYPE_CHECKING

import msgspec

from device_agent.pending import Backoff, Pending
from shared.errors import MalformedMessage
from shared.log import get_logger
from shared.messages import Failure, Prompt, Result
from shared.refusals import Refusals
from shared.wire import decode_result

if TYPE_CHECKING:
    from collections.abc import Coroutine
    from uuid import UUID

    from shared.assembly import Parts
    from shared.bus import Message
    from shared.settings import DeviceSettings
    from shared.station import Escalated

_log = get_logger()


class Escalations:
    """The pending table of one device and what drives it."""

    def __init__(self, settings: DeviceSettings, parts: Parts) -> None:
        self._settings = settings
        self._station = parts.station
        self._bus = parts.bus
        self._results = parts.topics.results(settings.agent)
        upstream = settings.upstream
        self._pending: Pending[asyncio.Future[Result]] = Pending(
            Backoff(upstream.retry_min_s, upstream.retry_max_s, upstream.patience_s),
            random.Random(),  # noqa: S311 - jitter
        )
        self._refusals = Refusals(parts.metrics)
        self._work: set[asyncio.Task[None]] = set()
        self._wake = asyncio.Event()

    async def start(self) -> None:
        """Listen for results, and begin to watch the clock."""
        dispatcher = self._station.dispatcher
        if dispatcher is None:
            return
        await dispatcher.start()
        dispatcher.on_agent(lambda: self._rearm(unsent_only=True))
        self._bus.watch(lambda connected: self._rearm() if connected else None)
        await self._bus.subscribe(self._results, self._take)
        self._begin(self._repeat())

    def accept(self, prompt: Prompt) -> asyncio.Future[Result]:
        """Take responsibility for a prompt; the future is done when its result is there."""
        answered: asyncio.Future[Result] = asyncio.get_running_loop().create_future()
        self._pending.accept(prompt.id, prompt.deadline_s, answered)
        return answered

    def waiting(self, prompt_id: UUID) -> asyncio.Future[Result] | None:
        """Return the future of a prompt that is accepted and not answered."""
        return self._pending.waiter(prompt_id)

    def going(self, escalated: Escalated) -> None:
        """Note that a prompt is about to go up; from now on its result may come."""
        self._pending.going(escalated.prompt.id, escalated)
        self._wake.set()

    def sent(self, escalated: Escalated) -> None:
        """Note that a prompt went up, or that nobody was there to take it."""
        self._pending.sent(escalated.prompt.id, escalated, time.monotonic())
        self._wake.set()

    def resolve(self, result: Result) -> None:
        """Give the result to whoever waits, once; a second one is counted and dropped."""
        answered = self._pending.resolve(result.id)
        if answered is None:
            self._station.metrics.repeats.labels("result").inc()
        elif not answered.done():
            answered.set_result(result)

    def degrade(self, escalated: Escalated, reason: str) -> None:
        """Give our own answer, since nothing better can come in time; unless something did."""
        if self._pending.find(escalated.prompt.id) is None:
            return
        prompt, tier = escalated.prompt, self._station.tier.name
        self._station.metrics.prompts.labels(tier, prompt.task, "degraded").inc()
        _log.warning("prompt degraded", id=str(prompt.id), reason=reason)
        self.resolve(escalated.fall_back(reason))

    def withdraw(self, prompt_id: UUID, answered: asyncio.Future[Result]) -> None:
        """Forget a prompt whose asker went away; whoever waits beside is woken to ask anew.

        Without effect on a later prompt of the same id, which is somebody else's.
        """
        if self._pending.waiter(prompt_id) is answered:
            self._pending.resolve(prompt_id)
            answered.cancel()

    async def drain(self, timeout_s: float) -> None:
        """Wait for results; what is still above by then gets our own answer."""
        waiting = self._pending.waiters()
        if waiting:
            await asyncio.wait(waiting, timeout=timeout_s)
        for escalated in self._pending.above():
            self.degrade(escalated, "the device is shutting down")
        for task in self._work:
            task.cancel()
        await asyncio.gather(*self._work, return_exceptions=True)

    # -- what comes from above -----------------------------------------------------------------

    def _take(self, message: Message) -> None:
        """Match what came from above to the prompt it belongs to."""
        self._bus.acknowledge(message)
        try:
            came = decode_result(message.payload)
        except MalformedMessage as error:
            self._refusals.note(message.topic, error)
            return
        if isinstance(came, Result):
            self._take_result(came)
            return
        prompt_id, notice = came
        escalated = self._pending.find(prompt_id)
        if escalated is not None:
            self._begin(self._try_another(escalated, notice.code))

    def _take_result(self, result: Result) -> None:
        escalated = self._pending.find(result.id)
        if escalated is None:
            self._station.metrics.repeats.labels("result").inc()
        elif isinstance(result.outcome, Failure):
            self.degrade(escalated, f"the tier above failed: {result.outcome.reason}")
        else:
            self._station.learn(escalated, result)
            hops = escalated.prompt.hops + result.hops
            self.resolve(msgspec.structs.replace(result, hops=hops))

    async def _try_another(self, escalated: Escalated, code: str) -> None:
        """Ask an agent that was not asked yet, since one declined, or give our own answer."""
        await self._station.dispatch(escalated)
        if escalated.agent is None:
            self.degrade(escalated, f"every agent above is {code}")
        else:
            self.sent(escalated)

    # -- silence from above --------------------------------------------------------------------

    async def _repeat(self) -> None:
        """Send again what got no answer, and give up on what cannot get one in time."""
        loop = asyncio.get_running_loop()
        while True:
            self._wake.clear()
            for escalated, give_up in self._pending.due(time.monotonic()):
                if give_up:
                    self.degrade(escalated, give_up)
                else:
                    self._begin(self._send_again(escalated))
            next_s = self._pending.next_due_s()
            # A timer, since `wait_for` may swallow a cancellation before Python 3.12.
            timer = loop.call_later(next_s - time.monotonic(), self._wake.set) if next_s else None
            await self._wake.wait()
            if timer is not None:
                timer.cancel()

    async def _send_again(self, escalated: Escalated) -> None:
        self._station.metrics.repeats.labels("retry").inc()
        _log.info("prompt repeated", id=str(escalated.prompt.id), silent=escalated.agent)
        self.sent(await self._station.dispatch(escalated, again=True))

    def _rearm(self, *, unsent_only: bool = False) -> None:
        self._pending.rearm(time.monotonic(), unsent_only=unsent_only)
        self._wake.set()

    def _begin(self, work: Coroutine[object, object, None]) -> None:
        task = asyncio.ensure_future(work)
        self._work.add(task)
        task.add_done_callback(self._work.discard)
