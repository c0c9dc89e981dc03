"""Drives a device's delivery: does what its ``protocol`` says, and tells it what happened.

Silence is answered by sending again, a refusal by trying another agent, and the end of a prompt's
time by our own answer, marked as degraded. With an outbox all of that goes on after a crash.
"""

from __future__ import annotations

import asyncio
import random
import time
from typing import TYPE_CHECKING

import msgspec

from device_agent.delivery import actions as to_do
from device_agent.delivery.alarm import Alarm
from device_agent.delivery.outbox import Outbox
from device_agent.delivery.outbox_codec import asker_of, decode
from device_agent.delivery.protocol import Delivery
from device_agent.delivery.requests import PendingRequest, RequestTable
from device_agent.delivery.retry import RetryPolicy
from shared.errors import BusError, Lost, MalformedMessage, StoreError, TooLarge
from shared.messages import Prompt, Result
from shared.supervision import Supervised, logged_if_broken
from shared.telemetry.log import get_logger
from shared.telemetry.rejections import RejectionLog
from shared.wire.codec import decode_result

if TYPE_CHECKING:
    from collections.abc import Coroutine, Iterable

    from device_agent.delivery.outbox_file import OutboxFile, OutboxRow
    from device_agent.delivery.quarantine import PoisonGuard
    from device_agent.settings import DeviceSettings
    from shared.agent.build import AgentParts
    from shared.bus import Message
    from shared.cascade.tier import Escalation
    from shared.membership.balancer import Pick

_log = get_logger()
STOPPING = "the device is shutting down"
_RESOLVE_S = 1.0


class DeliveryDriver:
    """Every accepted prompt of one device, on its way to its result."""

    def __init__(
        self,
        settings: DeviceSettings,
        parts: AgentParts,
        file: OutboxFile | None,
        guard: PoisonGuard | None = None,
    ) -> None:
        self._settings = settings
        self._station = parts.station
        self._bus = parts.upper_bus
        self._outbox = Outbox(file, guard, settings.outbox.prompts)
        upstream = settings.upstream
        self._delivery = Delivery(
            RetryPolicy(upstream.retry_min_s, upstream.retry_max_s, upstream.patience_s),
            random.Random(),  # noqa: S311 - jitter
        )
        self.pending = RequestTable(parts.metrics, settings.tier.name, parts.node.explained.note)
        self._rejections = RejectionLog(parts.metrics)
        self._work: set[asyncio.Task[None]] = set()
        self._alarm = Alarm()
        self._watch: Supervised | None = None
        self._stopping = False
        parts.metrics.pending.set_function(lambda: len(self._delivery))
        parts.metrics.unaccounted.set_function(self._unaccounted)

    async def start(self) -> None:
        """Go on with what an earlier run left, listen for results, and watch the clock."""
        for row in self._outbox.recovered():
            self._take_up(row)
            await asyncio.sleep(0)
        self._watch = Supervised("deadlines", self._watch_clock)
        dispatcher = self._station.dispatcher
        if dispatcher is None:
            self._stop("no tier is above this device any more")
            return
        await dispatcher.start()
        results = dispatcher.topics.results(self._settings.agent)
        dispatcher.on_agent(lambda: self._rearm(unsent_only=True))
        self._bus.watch(lambda connected: self._rearm() if connected else None)
        await self._bus.subscribe(results, self._on_upstream_message)

    def accept(self, asked: PendingRequest) -> None:
        """Take responsibility for a prompt."""
        prompt = asked.prompt
        self.pending.add(asked)
        revisions = asked.revised is not None
        self._delivery.accept(prompt.id, prompt.deadline_s, revisions=revisions)
        self._alarm.wake_before(prompt.deadline_s)

    def decided(self, decided: Result | Escalation) -> None:
        """Answer a prompt that was judged, or begin to send it up."""
        if isinstance(decided, Result):
            self._do(self._delivery.answer(decided))
        elif self._stopping:
            self._do(self._delivery.answer(decided.degraded(STOPPING)))
        else:
            self._do(self._delivery.escalate(decided))
            self._alarm.wake()

    def release(self, asked: PendingRequest) -> None:
        """Let go of a prompt whose result is out, or whose asker went away."""
        if not self.pending.remove(asked):
            return
        self._delivery.withdraw(asked.prompt.id)
        self._outbox.forget(asked.prompt.id)

    async def drain(self, timeout_s: float) -> None:
        """Wait for results; what is still above by then gets our own answer."""
        self._stopping = True
        if waiting := self.pending.waiting():
            await asyncio.wait(waiting, timeout=timeout_s)
        resolving = self._stop(STOPPING)
        if resolving and (waiting := self.pending.waiting()):
            await asyncio.wait(waiting, timeout=_RESOLVE_S)
        self._do(self._delivery.resolve_at_once())
        if self._watch is not None:
            await self._watch.stop()
        for task in self._work:
            task.cancel()
        await asyncio.gather(*self._work, return_exceptions=True)

    def _stop(self, reason: str) -> list[to_do.Action]:
        """Answer here whatever still waits above; return what that takes."""
        actions = self._delivery.stop(reason, time.monotonic())
        self._do(actions)
        return actions

    # -- what the core wants done --------------------------------------------------------------

    def _do(self, actions: Iterable[to_do.Action]) -> None:
        """Do one thing after another; one that breaks does not keep the others from being done."""
        for action in actions:
            with logged_if_broken("an action of the delivery", action=type(action).__name__):
                self._do_one(action)

    def _do_one(self, action: to_do.Action) -> None:
        match action:
            case to_do.Store(escalated):
                self._begin(self._store(escalated))
            case to_do.Send():
                self._begin(self._send(action))
            case to_do.Resolve(result):
                self._begin(self._resolve(result))
            case to_do.Answer(result):
                self.pending.answer(result)
            case to_do.Revise(result):
                self.pending.revise(result)
            case to_do.Forget(prompt_id):
                self._outbox.forget(prompt_id)
            case _:
                self._station.heed(action)

    async def _store(self, escalated: Escalation) -> None:
        prompt_id = escalated.prompt.id
        asked = self.pending.find(prompt_id)
        if asked is None:
            return
        try:
            await self._outbox.store(escalated, asked.asker)
        except StoreError as error:
            self._do(self._delivery.unstored(prompt_id, str(error)))
            return
        asked.accept()
        self._do(self._delivery.stored(prompt_id))

    async def _send(self, send: to_do.Send) -> None:
        """Send a prompt up, and say what came of it; what breaks here is an attempt that failed."""
        prompt, up = send.escalated.prompt, send.escalated.routing.up
        if send.to or send.tried:
            self._station.metrics.repeats.labels("retry").inc()
            _log.info("prompt repeated", id=str(prompt.id), to=send.to, tried=sorted(send.tried))
        chosen, fault = None, None
        try:
            chosen = await self._station.above.send(
                prompt, up, to=send.to, tried=send.tried, again=not send.declined
            )
        except BusError as error:
            fault = error
        finally:
            self._do(self._sent(send, chosen, fault))
            self._alarm.wake()

    def _sent(
        self, send: to_do.Send, chosen: Pick | None, fault: BusError | None
    ) -> list[to_do.Action]:
        prompt_id, now_s = send.escalated.prompt.id, time.monotonic()
        if isinstance(fault, TooLarge):
            return self._delivery.refused(prompt_id, str(fault), now_s)
        if fault is not None:  # whoever else was asked: this one was not
            return self._delivery.unsent(prompt_id, now_s, reason=f"not sent: {fault}")
        if chosen is not None:
            return self._delivery.sent(prompt_id, chosen.agent, now_s, pooled=chosen.pooled)
        reason = self._station.above.why_nobody(send.escalated.prompt.task)
        return self._delivery.unsent(prompt_id, now_s, declined=send.declined, reason=reason)

    async def _resolve(self, result: Result) -> None:
        await self._outbox.resolve(result)
        self._do(self._delivery.resolved(result.id))

    # -- what comes from above -----------------------------------------------------------------

    def _on_upstream_message(self, message: Message) -> None:
        """Match what came from above to the prompt it belongs to."""
        self._bus.acknowledge(message)
        try:
            came = decode_result(message.payload)
        except MalformedMessage as error:
            self._rejections.record(message.topic, error)
            return
        if isinstance(came, Result):
            self._on_result(came)
        else:
            self._do(self._delivery.noticed(*came, time.monotonic()))
            self._alarm.wake()

    def _on_result(self, result: Result) -> None:
        named = self._station.above.choice.name_confidences(result)
        actions = self._delivery.came(named, time.monotonic())
        if not actions:
            self._station.metrics.repeats.labels("result").inc()
        self._do(actions)

    # -- what the clock brings -----------------------------------------------------------------

    async def _watch_clock(self) -> None:
        """Send again what got no answer, and give up on what cannot get one in time."""
        while True:
            await self._alarm.until(self._delivery.next_due_s())
            self._do(self._delivery.tick(time.monotonic()))

    def _rearm(self, *, unsent_only: bool = False) -> None:
        self._delivery.rearm(time.monotonic(), unsent_only=unsent_only)
        self._alarm.wake()

    def _unaccounted(self) -> int:
        return self.pending.accepted - self.pending.answered - len(self._delivery)

    def _begin(self, work: Coroutine[object, object, None]) -> None:
        task = asyncio.ensure_future(work)
        self._work.add(task)
        task.add_done_callback(self._ended)

    def _ended(self, task: asyncio.Task[None]) -> None:
        self._work.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            _log.error("the delivery of a prompt broke", exc_info=error)

    # -- what an earlier run left --------------------------------------------------------------

    def _take_up(self, row: OutboxRow) -> None:
        """Go on with a prompt that was stored, or with its answer if that is resolved."""
        try:
            escalated, asker, result = decode(row, self._settings.agent)
        except MalformedMessage as error:
            self._lose(row, str(error))
            return
        asked = PendingRequest(escalated.prompt, asker)
        asked.accept()
        self.pending.add(asked)
        if result is None:
            self._outbox.reserve(escalated.prompt, len(row.payload))
            revisions = asker is not None and asker.revisions
            self._delivery.restore(
                self._within_reach(escalated), revisions=revisions, now_s=time.monotonic()
            )
        else:
            self.pending.answer(result)
        if asker is None:  # whoever asked died with that run; the same question finds the result
            asked.result.add_done_callback(lambda _: self.release(asked))
        _log.info("prompt of an earlier run", id=str(row.id), settled=result is not None)

    def _within_reach(self, escalated: Escalation) -> Escalation:
        """Return the prompt as it goes up now: there may be fewer tiers above than there were."""
        routing, tiers = escalated.routing, len(self._settings.tier.above)
        if routing.up <= tiers:
            return escalated
        return msgspec.structs.replace(escalated, routing=routing._replace(up=max(tiers, 1)))

    def _lose(self, row: OutboxRow, reason: str) -> None:
        """Put a row aside that cannot be read, and tell whoever asked if that can be read."""
        self._begin(self._outbox.put_aside(row, reason))
        asker = asker_of(row)
        if asker is None:
            return
        asked = PendingRequest(
            Prompt(row.id, self._settings.agent, "classify", "", time.monotonic()), asker
        )
        self.pending.add(asked)
        error = Lost("the device cannot read any more what it had stored of it; ask again")
        self.pending.answer(Result.failure(asked.prompt, error))
