"""Serves prompts that come over the bus: what edge and cloud agents do all day.

A message is acknowledged when its work is done and the reply is out. Prompts are known by origin
and id: a repeat is answered from memory, and one that was sent on is sent on again, to another
agent, because only silence from above makes an origin repeat itself. A prompt that cannot be
answered in half of its remaining time is declined at once, to whoever sent it.
"""

from __future__ import annotations

import asyncio
import time
from collections import OrderedDict
from typing import TYPE_CHECKING, Any, Literal
from uuid import UUID

import msgspec

from shared.burden import links, packet_bytes
from shared.errors import BusError, Busy, MalformedMessage, Stopping
from shared.log import get_logger
from shared.messages import Failure, Prompt, Result
from shared.refusals import Refusals
from shared.station import Escalated
from shared.wire import decode_prompt, decode_result, encode_notice, encode_result

if TYPE_CHECKING:
    from collections.abc import Coroutine

    from shared.bus import Bus, Message
    from shared.station import Station
    from shared.topics import Topics

_log = get_logger()
_Key = tuple[str, UUID]
_NOT_HERE = (Busy.code, Stopping.code)
"""Failures of this agent and not of the prompt: another agent may do better."""
_Known = Result | Escalated | Literal["in hand"]


class Service:
    """One station's work on the bus."""

    def __init__(
        self, station: Station, bus: Bus, topics: Topics, *, remember_prompts: int, pool: str = ""
    ) -> None:
        self._station = station
        self._bus = bus
        self._topics = topics
        self._pool = pool
        self._remember_prompts = remember_prompts
        self._known: OrderedDict[_Key, _Known] = OrderedDict()
        self._above: OrderedDict[UUID, Escalated] = OrderedDict()
        self._in_hand: set[asyncio.Task[None]] = set()
        self._refusals = Refusals(station.metrics)

    async def start(self) -> None:
        """Take prompts addressed to this agent, and to its pool."""
        agent = self._station.agent
        if self._station.dispatcher is not None:
            await self._station.dispatcher.start()
            await self._bus.subscribe(self._topics.results(agent), self._take_word)
        await self._bus.subscribe(self._topics.prompts(agent), self._take_prompt)
        if self._pool:
            shared = self._topics.prompts(self._pool, pool=self._pool)
            await self._bus.subscribe(shared, self._take_prompt)

    async def drain(self, timeout_s: float) -> int:
        """Finish what is in hand; return how many prompts were not finished in time."""
        if not self._in_hand:
            return 0
        _, unfinished = await asyncio.wait(self._in_hand, timeout=timeout_s)
        return len(unfinished)

    def _take_prompt(self, message: Message) -> None:
        self._start(self._serve(message))

    def _take_word(self, message: Message) -> None:
        self._start(self._heed(message))

    def _start(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.ensure_future(work)
        self._in_hand.add(task)
        task.add_done_callback(self._in_hand.discard)

    async def _serve(self, message: Message) -> None:
        """Take one prompt from its bytes to its reply; settled in ``finally`` whatever happens."""
        try:
            await self._answer(self._read(message))
        except MalformedMessage as error:
            self._refusals.note(message.topic, error)
        except BusError as error:
            _log.warning("reply not sent; the origin will ask again", reason=str(error))
        except Exception:  # noqa: BLE001 - logged, and the service lives on
            _log.exception("a prompt broke the service", topic=message.topic)
        finally:
            self._bus.acknowledge(message)

    def _read(self, message: Message) -> Prompt:
        address = self._topics.read_prompt(message.topic)
        return decode_prompt(message.payload, address, now_s=time.monotonic())

    async def _answer(self, prompt: Prompt) -> None:
        key = (prompt.origin, prompt.id)
        known = self._known.get(key)
        if known is not None:
            self._station.metrics.repeats.labels("prompt").inc()
        if known == "in hand":
            return
        if isinstance(known, Result):
            await self._reply(prompt, known)
        elif isinstance(known, Escalated):
            await self._send_again(key, known, prompt.deadline_s)
        elif self._too_busy(prompt):
            self._station.metrics.refused.labels(Busy.code).inc()
            await self._decline(prompt, Busy.code)
        else:
            await self._settle(key, prompt)

    async def _settle(self, key: _Key, prompt: Prompt) -> None:
        self._remember(key, "in hand")
        settled: Result | Escalated | None = None
        try:
            settled = await self._station.settle(prompt, self._expect_word)
        finally:
            if settled is None:
                self._known.pop(key, None)
        if isinstance(settled, Escalated):
            await self._send_on(key, settled)
        elif isinstance(settled.outcome, Failure) and settled.outcome.code in _NOT_HERE:
            self._known.pop(key, None)
            await self._decline(prompt, settled.outcome.code)
        else:
            self._remember(key, settled)
            await self._reply(prompt, settled)

    async def _send_again(self, key: _Key, escalated: Escalated, deadline_s: float) -> None:
        """Send a repeat on, with the time that its asker gives it now."""
        escalated.prompt = msgspec.structs.replace(escalated.prompt, deadline_s=deadline_s)
        self._expect_word(escalated)
        await self._send_on(key, await self._station.dispatch(escalated, again=True))

    async def _send_on(self, key: _Key, escalated: Escalated) -> None:
        """Answer a prompt ourselves if nobody above took it; a repeat tries again either way."""
        self._remember(key, escalated)
        if escalated.agent is None:
            self._above.pop(escalated.prompt.id, None)
            reason = f"no {' or '.join(self._station.tier.above)} agent took the prompt"
            await self._reply(escalated.prompt, escalated.fall_back(reason))

    def _expect_word(self, escalated: Escalated) -> None:
        """Be ready for what comes back of a prompt that is about to go up."""
        self._above[escalated.prompt.id] = escalated
        _shorten(self._above, self._remember_prompts)

    async def _decline(self, prompt: Prompt, code: str) -> None:
        """Tell whoever sent the prompt to try another agent."""
        await self._bus.publish(self._topics.results(prompt.sender), encode_notice(prompt.id, code))

    async def _heed(self, message: Message) -> None:
        """Take word from above of a prompt that was sent on."""
        try:
            came = decode_result(message.payload)
            if isinstance(came, Result):
                self._take_copy(came)
            else:
                await self._try_another(came[0])
        except MalformedMessage as error:
            self._refusals.note(message.topic, error)
        except BusError as error:
            _log.warning("reply not sent; the origin will ask again", reason=str(error))
        except Exception:  # noqa: BLE001 - logged, and the service lives on
            _log.exception("word from above broke the service", topic=message.topic)
        finally:
            self._bus.acknowledge(message)

    async def _try_another(self, prompt_id: UUID) -> None:
        """Send a prompt that was declined above to another agent, or answer it ourselves."""
        escalated = self._above.get(prompt_id)
        if escalated is not None:
            key = (escalated.prompt.origin, prompt_id)
            await self._send_on(key, await self._station.dispatch(escalated))

    def _take_copy(self, result: Result) -> None:
        """Learn from the answer that the origin got, and keep it for repeats of the prompt."""
        escalated = self._above.pop(result.id, None)
        if escalated is not None:
            self._station.learn(escalated, result)
            hops = escalated.prompt.hops + result.hops
            key = (escalated.prompt.origin, result.id)
            self._remember(key, msgspec.structs.replace(result, hops=hops))

    async def _reply(self, prompt: Prompt, result: Result) -> None:
        """Send the result to the origin, and a copy to the sender if it asked for one."""
        mine = self._station.tier.name
        known_hops = 1 if result.hops and result.hops[0].agent == prompt.origin else 0
        # A failure may come without our hop, but its reply starts from here all the same.
        tiers = [hop.tier for hop in result.hops if hop.tier != mine]
        await self._send(prompt.origin, encode_result(result, known_hops=known_hops), tiers)
        if prompt.copy and prompt.sender not in (prompt.origin, self._station.agent):
            known_hops = len(prompt.hops)
            await self._send(
                prompt.sender, encode_result(result, known_hops=known_hops), tiers[-1:]
            )

    async def _send(self, reader: str, payload: bytes, tiers: list[str]) -> None:
        """Publish on a results topic and count the bytes on every link down through ``tiers``."""
        topic = self._topics.results(reader)
        await self._bus.publish(topic, payload)
        for link in links([*tiers, self._station.tier.name]):
            self._station.metrics.count_link(link, "down", packet_bytes(topic, payload))

    def _too_busy(self, prompt: Prompt) -> bool:
        batcher = self._station.batcher
        remaining_s = prompt.deadline_s - time.monotonic()
        return batcher.full or batcher.wait_s > remaining_s / 2 > 0

    def _remember(self, key: _Key, known: _Known) -> None:
        self._known[key] = known
        _shorten(self._known, self._remember_prompts)


def _shorten(known: OrderedDict[_Key, _Known] | OrderedDict[UUID, Escalated], limit: int) -> None:
    while len(known) > limit:
        known.popitem(last=False)
