"""Serves prompts that come over the bus: what edge and cloud agents do all day.

Drives ``shared.protocol.admission``: does what it says, and tells it what happened. A message is
acknowledged when its prompt waits for the model, or else when its work is done: answered, declined
or sent on.
"""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING

import msgspec

from shared.errors import AnswerTooLong, BusError, MalformedMessage, StoreError, TooLarge
from shared.messages import Failure, Prompt, Result
from shared.protocol.actions import (
    Action,
    Attempt,
    Decline,
    Forward,
    Heed,
    Process,
    Quarantine,
    SendResult,
    StoreResult,
    Working,
)
from shared.protocol.admission import Admission, key_of
from shared.protocol.replies import replies
from shared.storage.dead_letters import DeadLetter
from shared.supervision import logged_if_broken
from shared.tasks import shorten
from shared.telemetry.log import get_logger
from shared.telemetry.rejections import RejectionLog
from shared.wire.burden import packet_bytes
from shared.wire.codec import WORKING, decode_prompt, decode_result, encode_notice, encode_result

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from shared.bus import Bus, Message
    from shared.cascade.tier import Escalation
    from shared.serving.station import Station
    from shared.storage.dead_letters import DeadLetters
    from shared.storage.results import ResultStore
    from shared.wire.topics import Topics

    _Take = Callable[[Message], Awaitable[Process | None]]

_log = get_logger()


class Service:
    """One station's work on the bus.

    ``upper_bus`` leads to the tiers above. Where that is another connection, results from there
    come to this agent, which passes them on to their origins.
    """

    def __init__(
        self,
        station: Station,
        bus: Bus,
        topics: Topics,
        admission: Admission,
        results: ResultStore,
        dead_letters: DeadLetters,
        *,
        room: int,
        pool: str = "",
        upper_bus: Bus,
    ) -> None:
        """Have no more than ``room`` messages in hand at a time."""
        self._station = station
        self._bus = bus
        self._topics = topics
        self._admission = admission
        self._results = results
        self._dead_letters = dead_letters
        self._room = room
        self._pool = pool
        self._upper_bus = upper_bus
        self._in_hand: set[asyncio.Task[None]] = set()
        self._rejections = RejectionLog(station.metrics)

    async def start(self) -> None:
        """Take prompts addressed to this agent, and to its pool."""
        agent = self._station.agent
        if self._station.dispatcher is not None:
            await self._station.dispatcher.start()
            await self._upper_bus.subscribe(
                self._station.dispatcher.topics.results(agent), self._on_upstream_message
            )
        await self._bus.subscribe(self._topics.prompts(agent), self._on_prompt)
        if self._pool:
            shared = self._topics.prompts(self._pool, pool=self._pool)
            await self._bus.subscribe(shared, self._on_prompt)

    async def ask_again(self, escalation: Escalation) -> None:
        """Send up a prompt of this agent's own; its observers hear of the result.

        Raises ``BusError`` or ``StoreError``.
        """
        await self._drive(self._admission.ask_again(escalation))

    async def drain(self, timeout_s: float) -> int:
        """Finish what is in hand; return how many prompts were not finished in time."""
        if not self._in_hand:
            return 0
        _, unfinished = await asyncio.wait(self._in_hand, timeout=timeout_s)
        return len(unfinished)

    def _on_prompt(self, message: Message) -> None:
        self._start(self._bus, message, self._admit)

    def _on_upstream_message(self, message: Message) -> None:
        self._start(self._upper_bus, message, self._hear)

    def _start(self, bus: Bus, message: Message, take: _Take) -> None:
        """Begin with a message, or drop it: a flood at QoS 0 knows no window and no end."""
        if len(self._in_hand) >= self._room:
            self._station.metrics.refused.labels("flooded").inc()
            bus.acknowledge(message)
            return
        task = asyncio.ensure_future(self._serve(bus, message, take))
        self._in_hand.add(task)
        task.add_done_callback(self._in_hand.discard)

    async def _serve(self, bus: Bus, message: Message, take: _Take) -> None:
        """Do the work that came with a message; whatever happens, it is acknowledged.

        A prompt is, as soon as it is in the queue of the model: without a session the broker
        forgets it anyway when we die, and what waits to be acknowledged holds up all that comes
        after it, repeats and our own heartbeat among that.
        """
        process: Process | None = None
        try:
            process = await take(message)
        except MalformedMessage as error:
            self._rejections.record(message.topic, error)
        except (BusError, StoreError) as error:
            _log.warning("prompt not finished; its origin will ask again", reason=str(error))
        except Exception:  # noqa: BLE001 - logged, and the service lives on
            _log.exception("a message broke the service", topic=message.topic)
        finally:
            bus.acknowledge(message)
        if process is not None:
            await self._deliver(process)

    async def _admit(self, message: Message) -> Process | None:
        """Take a prompt from below; return it if the model is to see it."""
        now_s = time.monotonic()
        address = self._topics.read_prompt(message.topic)
        prompt = decode_prompt(message.payload, address, now_s=now_s)
        known = self._known(prompt)
        queue = self._station.solver.queue_for(prompt.origin)
        first = self._admission.arrived(prompt, known, queue, now_s)
        if not isinstance(first, Attempt | Decline):
            self._station.metrics.repeats.labels("prompt").inc()
        try:
            return await self._drive(first)
        except BaseException:
            if isinstance(first, Attempt):  # a repeat says nothing of the first
                self._admission.dropped(prompt)
            raise

    async def _deliver(self, process: Process) -> None:
        """Process a prompt that is in our hands, and do all that follows."""
        following: Process | None = process
        broken = True
        try:
            while following is not None:
                following = await self._drive(await self._process(following))
            broken = False
        except (BusError, StoreError) as error:
            _log.warning("prompt not finished; its origin will ask again", reason=str(error))
        except Exception:  # noqa: BLE001 - logged, and the service lives on
            _log.exception("a prompt broke the service", id=str(process.prompt.id))
        finally:
            if broken:
                self._admission.dropped(process.prompt)

    async def _hear(self, message: Message) -> None:
        """Take word from above of a prompt that was sent on."""
        came = decode_result(message.payload)
        if isinstance(came, Result):
            await self._drive(self._admission.came(came))
        else:
            await self._drive(self._admission.noticed(*came, time.monotonic()))

    # -- what the core wants done --------------------------------------------------------------

    async def _drive(self, action: Action | None) -> Process | None:
        """Do one thing after another, up to the model."""
        while action is not None and not isinstance(action, Process):
            action = await self._do(action)
        return action

    async def _do(self, action: Action) -> Action | None:  # noqa: PLR0911 - one for each action
        match action:
            case Attempt(prompt):
                attempt = await self._results.attempt(key_of(prompt))
                return self._admission.attempted(prompt, attempt)
            case Forward():
                return await self._send_on(action)
            case Heed(evidence, then):
                for each in evidence:
                    with logged_if_broken("what came from above", evidence=type(each).__name__):
                        self._station.heed(each)
                return then
            case Working(prompt, then):
                await self._notify(prompt, WORKING)
                return then
            case Quarantine():
                await self._put_aside(action)
                return self._admission.quarantined(action)
            case StoreResult(prompt, result):
                payload = encode_result(result, known_hops=0, sourced=True)
                await self._results.keep(key_of(prompt), payload, time.monotonic())
                return self._admission.kept(action)
            case SendResult(prompt, result):
                await self._reply(prompt, result)
            case Decline(prompt, code):
                self._station.metrics.refused.labels(code).inc()
                await self._notify(prompt, code)
        return None

    async def _notify(self, prompt: Prompt, code: str) -> None:
        topic = self._topics.results(prompt.sender)
        await self._bus.publish(topic, encode_notice(prompt.id, code, self._station.agent))

    async def _send_on(self, send_on: Forward) -> Action | None:
        following, up = send_on.following, send_on.onward.escalated.routing.up
        try:
            chosen = await self._station.above.send(
                send_on.prompt, up, to=following.to, tried=following.tried, again=send_on.again
            )
        except TooLarge as error:
            return self._admission.unsent(send_on, str(error))
        except BusError:
            chosen = None
        if chosen is None:
            above = " or ".join(self._station.tier.above)
            return self._admission.unsent(send_on, f"no {above} agent took the prompt")
        now_s = time.monotonic()
        return self._admission.sent(send_on, chosen.agent, now_s, pooled=chosen.pooled)

    async def _process(self, process: Process) -> Action | None:
        decided = await self._station.process(process.prompt)
        action = self._admission.processed(process, decided)
        if not isinstance(action, StoreResult | Attempt | Quarantine):
            self._results.drop_attempt(key_of(process.prompt))
        return action

    async def _put_aside(self, quarantine: Quarantine) -> None:
        letter = DeadLetter.of(
            quarantine.prompt, reason=quarantine.reason, attempts=quarantine.attempts
        )
        self._station.metrics.refused.labels("quarantined").inc()
        await self._dead_letters.quarantine(letter)

    async def _reply(self, prompt: Prompt, result: Result) -> None:
        """Publish the result to all that are to have it; count its bytes on every link down."""
        tier, agent = self._station.tier.name, self._station.agent
        for reply in replies(prompt, result, tier=tier, agent=agent):
            topic = self._topics.results(reply.reader)
            payload = await self._publish(topic, result, reply.known_hops, prompt.sourced)
            for link in reply.links:
                self._station.metrics.count_link(link, "down", packet_bytes(topic, payload))

    async def _publish(self, topic: str, result: Result, known_hops: int, sourced: bool) -> bytes:
        """Publish a result and return its payload; one that no broker carries goes out cut."""
        payload = encode_result(result, known_hops=known_hops, sourced=sourced)
        try:
            await self._bus.publish(topic, payload)
        except TooLarge as error:
            _log.warning("result cut", id=str(result.id), bytes=len(payload), reason=str(error))
            cut = _cut(result, error.over_bytes)
            if isinstance(cut.outcome, Failure):
                self._station.metrics.refused.labels(cut.outcome.code).inc()
            payload = encode_result(cut, known_hops=known_hops, sourced=sourced)
            await self._bus.publish(topic, payload)
        return payload

    def _known(self, prompt: Prompt) -> Result | None:
        payload = self._results.find(key_of(prompt))
        try:
            result = decode_result(payload) if payload is not None else None
        except MalformedMessage:  # kept by another version
            return None
        return result if isinstance(result, Result) else None


def _cut(result: Result, over_bytes: int) -> Result:
    """Return a result that is shorter by so much, or what says that it cannot be."""
    answer = result.outcome
    if over_bytes and not isinstance(answer, Failure):
        shorter = shorten(answer, over_bytes)
        if shorter is not None:
            return msgspec.structs.replace(result, outcome=shorter)
    too_long = AnswerTooLong("there is an answer, but no message to the device may be as long")
    return msgspec.structs.replace(result, outcome=Failure(too_long.code, str(too_long)))
