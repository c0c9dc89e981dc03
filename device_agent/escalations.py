"""Drives a device's delivery: does what ``device_agent.delivery`` says, and tells it what happened.

Silence is answered by sending again, a refusal by trying another agent, and the end of a prompt's
time by our own answer, marked as degraded. With an outbox all of that goes on after a crash.
"""

from __future__ import annotations

import asyncio
import random
import time
from typing import TYPE_CHECKING

from device_agent import actions as to_do
from device_agent.commits import Commits
from device_agent.delivery import Delivery
from device_agent.in_hand import Asked, InHand
from device_agent.repeats import Backoff
from device_agent.rows import decode
from shared.errors import MalformedMessage, ModelFailed, StoreError
from shared.log import get_logger
from shared.messages import Failure, Result
from shared.refusals import Refusals
from shared.wire import decode_result

if TYPE_CHECKING:
    from collections.abc import Coroutine, Iterable

    from device_agent.outbox import Outbox, Row
    from shared.assembly import Parts
    from shared.bus import Message
    from shared.escalated import Escalated
    from shared.settings import DeviceSettings

_log = get_logger()
_STOPPING = "the device is shutting down"
_SETTLE_S = 1.0


class Escalations:
    """Every accepted prompt of one device, on its way to its result."""

    def __init__(self, settings: DeviceSettings, parts: Parts, outbox: Outbox | None) -> None:
        self._settings = settings
        self._station = parts.station
        self._bus = parts.upper_bus
        self._commits = Commits(outbox, settings.outbox.prompts)
        upstream = settings.upstream
        self._delivery = Delivery(
            Backoff(upstream.retry_min_s, upstream.retry_max_s, upstream.patience_s),
            random.Random(),  # noqa: S311 - jitter
        )
        self.in_hand = InHand(parts.metrics, settings.tier.name)
        self._refusals = Refusals(parts.metrics)
        self._work: set[asyncio.Task[None]] = set()
        self._wake = asyncio.Event()
        self._stopping = False
        parts.metrics.pending.set_function(lambda: len(self._delivery))
        parts.metrics.unaccounted.set_function(self._unaccounted)

    async def start(self) -> None:
        """Go on with what an earlier run left, listen for results, and watch the clock."""
        for row in self._commits.recovered():
            self._take_up(row)
        dispatcher = self._station.dispatcher
        if dispatcher is None:
            self._do(self._delivery.stop("no tier is above this device any more"))
            return
        await dispatcher.start()
        results = dispatcher.topics.results(self._settings.agent)
        dispatcher.on_agent(lambda: self._rearm(unsent_only=True))
        self._bus.watch(lambda connected: self._rearm() if connected else None)
        await self._bus.subscribe(results, self._take)
        self._begin(self._watch_clock())

    def accept(self, asked: Asked) -> None:
        """Take responsibility for a prompt."""
        prompt = asked.prompt
        self.in_hand.add(asked)
        revisions = asked.revised is not None
        self._delivery.accept(prompt.id, prompt.deadline_s, revisions=revisions)

    def settle(self, settled: Result | Escalated) -> None:
        """Answer a prompt that was judged, or begin to send it up."""
        if isinstance(settled, Result):
            self._do(self._delivery.answer(settled))
        elif self._stopping:
            self._do(self._delivery.answer(settled.fall_back(_STOPPING)))
        else:
            self._do(self._delivery.escalate(settled))
            self._wake.set()

    def out(self, asked: Asked) -> None:
        """Let go of a prompt whose result is out, or whose asker went away."""
        if not self.in_hand.remove(asked):
            return
        self._delivery.withdraw(asked.prompt.id)
        self._commits.forget(asked.prompt.id)

    async def drain(self, timeout_s: float) -> None:
        """Wait for results; what is still above by then gets our own answer."""
        self._stopping = True
        if waiting := self.in_hand.waiting():
            await asyncio.wait(waiting, timeout=timeout_s)
        settling = self._delivery.stop(_STOPPING)
        self._do(settling)
        if settling and (waiting := self.in_hand.waiting()):
            await asyncio.wait(waiting, timeout=_SETTLE_S)
        for task in self._work:
            task.cancel()
        await asyncio.gather(*self._work, return_exceptions=True)

    # -- what the core wants done --------------------------------------------------------------

    def _do(self, actions: Iterable[to_do.Action]) -> None:
        for action in actions:
            match action:
                case to_do.Store(escalated):
                    self._begin(self._store(escalated))
                case to_do.Send():
                    self._begin(self._send(action))
                case to_do.Settle(result):
                    self._begin(self._settle(result))
                case to_do.Answer(result):
                    self.in_hand.answer(result)
                case to_do.Revise(result):
                    self.in_hand.revise(result)
                case to_do.Forget(prompt_id):
                    self._commits.forget(prompt_id)

    async def _store(self, escalated: Escalated) -> None:
        prompt_id = escalated.prompt.id
        asked = self.in_hand.find(prompt_id)
        if asked is None:
            return
        try:
            await self._commits.store(escalated, asked.asker)
        except StoreError as error:
            self._do(self._delivery.unstored(prompt_id, str(error)))
            return
        asked.accept()
        self._do(self._delivery.stored(prompt_id))

    async def _send(self, send: to_do.Send) -> None:
        escalated = send.escalated
        prompt_id = escalated.prompt.id
        if send.silent:
            self._station.metrics.repeats.labels("retry").inc()
            _log.info("prompt repeated", id=str(prompt_id), silent=escalated.agent)
            self._blame(escalated)
        await self._station.dispatch(escalated, again=not send.declined)
        self._do(self._delivery.sent(prompt_id, time.monotonic(), declined=send.declined))
        self._wake.set()

    async def _settle(self, result: Result) -> None:
        await self._commits.settle(result)
        self._do(self._delivery.settled(result.id))

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
        else:
            prompt_id, notice = came
            self._do(self._delivery.declined(prompt_id, notice.code))

    def _take_result(self, result: Result) -> None:
        escalated = self._delivery.above(result.id)
        actions = self._delivery.came(result, time.monotonic())
        if not actions:
            self._station.metrics.repeats.labels("result").inc()
        if escalated is not None:
            self._heed(escalated, result)
        self._do(actions)

    def _heed(self, escalated: Escalated, result: Result) -> None:
        """Learn from a result, and of the agents that it came through."""
        assert self._station.dispatcher is not None, "something came from above"  # noqa: S101
        if not isinstance(result.outcome, Failure):
            self._station.learn(escalated, result)
            for hop in result.hops:
                self._station.dispatcher.succeeded(hop.agent)
        elif result.outcome.code == ModelFailed.code:
            self._blame(escalated)

    def _blame(self, escalated: Escalated) -> None:
        """Count silence, or a failure, against the agent that has the prompt."""
        if escalated.agent is not None and self._station.dispatcher is not None:
            self._station.dispatcher.failed(escalated.agent)

    # -- what the clock brings -----------------------------------------------------------------

    async def _watch_clock(self) -> None:
        """Send again what got no answer, and give up on what cannot get one in time."""
        loop = asyncio.get_running_loop()
        while True:
            self._wake.clear()
            self._do(self._delivery.tick(time.monotonic()))
            next_s = self._delivery.next_due_s()
            # A timer, since `wait_for` may swallow a cancellation before Python 3.12.
            timer = loop.call_later(next_s - time.monotonic(), self._wake.set) if next_s else None
            await self._wake.wait()
            if timer is not None:
                timer.cancel()

    def _rearm(self, *, unsent_only: bool = False) -> None:
        self._delivery.rearm(time.monotonic(), unsent_only=unsent_only)
        self._wake.set()

    def _unaccounted(self) -> int:
        return self.in_hand.accepted - self.in_hand.answered - len(self._delivery)

    def _begin(self, work: Coroutine[object, object, None]) -> None:
        task = asyncio.ensure_future(work)
        self._work.add(task)
        task.add_done_callback(self._ended)

    def _ended(self, task: asyncio.Task[None]) -> None:
        self._work.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            _log.error("the delivery of a prompt broke", exc_info=error)

    # -- what an earlier run left --------------------------------------------------------------

    def _take_up(self, row: Row) -> None:
        """Go on with a prompt that was stored, or with its answer if that is settled."""
        try:
            escalated, asker, result = decode(row, self._settings.agent)
        except MalformedMessage as error:
            _log.error("a stored prompt cannot be read", id=str(row.id), reason=str(error))
            return
        asked = Asked(escalated.prompt, asker)
        asked.accept()
        self.in_hand.add(asked)
        if result is None:
            revisions = asker is not None and asker.revisions
            self._delivery.restore(escalated, revisions=revisions, now_s=time.monotonic())
        else:
            self.in_hand.answer(result)
        if asker is None:  # whoever asked died with that run; the same question finds the result
            asked.result.add_done_callback(lambda _: self.out(asked))
        _log.info("prompt of an earlier run", id=str(row.id), settled=result is not None)
