"""A device agent in simulated time: drives the protocol of delivery as the real one does."""

from __future__ import annotations

import math
from collections import deque
from typing import TYPE_CHECKING, NamedTuple

from device_agent.delivery import actions as to_do
from shared.messages import Result

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from uuid import UUID

    from device_agent.delivery.protocol import Delivery
    from experiments.simulator.cpu import Step
    from experiments.simulator.station import SimulatedStation
    from shared.cascade.tier import Escalation
    from shared.messages import Prompt
    from shared.wire.codec import Notice


class DeviceSteps(NamedTuple):
    """What a device's event loop does for a prompt, piece by piece."""

    accept: Step
    settle: Step
    send: Step
    take: Step


class DeviceAgent:
    """Accepts prompts and gives each its one result."""

    def __init__(
        self, station: SimulatedStation, delivery: Delivery, steps: DeviceSteps, *, in_flight: int
    ) -> None:
        """Judge ``in_flight`` prompts at a time, at most."""
        self.name = station.name
        self.station = station
        self._clock = station.clock
        self._delivery = delivery
        self._steps = steps
        self._asked: dict[UUID, Callable[[Result], None]] = {}
        self._look_s = math.inf
        self._room = in_flight
        self._outside: deque[Prompt] = deque()
        if station.upward is not None:
            station.upward.on_agent(self._rearm)

    def ask(self, prompt: Prompt, answered: Callable[[Result], None]) -> None:
        """Accept a prompt; ``answered`` is called with its result."""
        self._asked[prompt.id] = answered
        self._delivery.accept(prompt.id, prompt.deadline_s)
        self.station.loop.do(self._steps.accept, self._judge, prompt)

    def take_result(self, result: Result) -> None:
        """Take a result from above."""
        self.station.loop.do(self._steps.take, self._came, result)

    def take_notice(self, prompt_id: UUID, notice: Notice) -> None:
        """Take an agent's word: it is at work on a prompt, or will not have it."""
        self.station.loop.do(self._steps.take, self._noticed, prompt_id, notice)

    def _judge(self, prompt: Prompt) -> None:
        if self._room:
            self._room -= 1
            self.station.process(prompt, self._steps.settle, self._settled)
        else:
            self._outside.append(prompt)

    def _settled(self, settled: Result | Escalation) -> None:
        self._room += 1
        if self._outside:
            self._judge(self._outside.popleft())
        if isinstance(settled, Result):
            self._do(self._delivery.answer(settled))
        else:
            self._do(self._delivery.escalate(settled))

    def _noticed(self, prompt_id: UUID, notice: Notice) -> None:
        self._do(self._delivery.noticed(prompt_id, notice, self._clock.now_s))

    def _came(self, result: Result) -> None:
        self._do(self._delivery.came(result, self._clock.now_s))

    def _rearm(self) -> None:
        self._delivery.rearm(self._clock.now_s, unsent_only=True)
        self._watch()

    # -- what the core wants done --------------------------------------------------------------

    def _do(self, actions: Iterable[to_do.Action]) -> None:
        for action in actions:
            match action:
                case to_do.Store(escalated):
                    self._do(self._delivery.stored(escalated.prompt.id))
                case to_do.Send():
                    self.station.loop.do(self._steps.send, self._send, action)
                case to_do.Resolve(result):
                    self._do(self._delivery.resolved(result.id))
                case to_do.Answer(result):
                    self._asked.pop(result.id)(result)
                case to_do.Revise() | to_do.Forget():
                    pass  # nobody asked for revisions, and nothing is on a disk
                case _:
                    self.station.heed(action)
        self._watch()

    def _send(self, send: to_do.Send) -> None:
        prompt, up, now_s = send.escalated.prompt, send.escalated.routing.up, self._clock.now_s
        again = not send.declined
        agent = self.station.above.send(prompt, up, to=send.to, tried=send.tried, again=again)
        if agent:
            self._do(self._delivery.sent(prompt.id, agent, now_s))
        else:
            self._do(self._delivery.unsent(prompt.id, now_s, declined=send.declined))

    def _watch(self) -> None:
        """Come back when the delivery next has something to say."""
        next_s = self._delivery.next_due_s()
        if next_s is not None and next_s < self._look_s:
            self._look_s = next_s
            self._clock.at(next_s, self._tick, next_s)

    def _tick(self, due_s: float) -> None:
        if due_s != self._look_s:
            return  # there was a reason to come earlier
        self._look_s = math.inf
        self._do(self._delivery.tick(self._clock.now_s))
