"""An upper agent in simulated time: drives admission as the real service does."""

from __future__ import annotations

from collections import OrderedDict
from typing import TYPE_CHECKING, Final, NamedTuple

from shared.membership.status import Load, Status
from shared.messages import Result
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
from shared.wire.burden import packet_bytes
from shared.wire.codec import WORKING, Notice, encode_notice, encode_result

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from uuid import UUID

    from experiments.simulator.cpu import Step
    from experiments.simulator.dispatcher import StatusBoard
    from experiments.simulator.network import Network
    from experiments.simulator.ports import Reader
    from experiments.simulator.station import SimulatedStation
    from shared.cascade.tier import Escalation
    from shared.messages import Prompt
    from shared.protocol.actions import Key
    from shared.protocol.evidence import Evidence
    from shared.wire.topics import Topics

_REMEMBERED: Final = 100_000


class UpperSteps(NamedTuple):
    """What an upper agent's event loop does for a prompt: before the model, and after it.

    ``pass_on`` comes on top where the prompt goes further up.
    """

    arrive: Step
    decide: Step
    pass_on: Step


class UpperAgent:
    """Takes prompts and replies, or sends them on."""

    def __init__(
        self,
        station: SimulatedStation,
        admission: Admission,
        steps: UpperSteps,
        network: Network,
        readers: Mapping[str, Reader],
        topics: Topics,
        *,
        heartbeat_s: float,
    ) -> None:
        """``readers`` has every agent that replies and notices can be for, by name."""
        self.name = station.name
        self.station = station
        self._clock = station.clock
        self._admission = admission
        self._steps = steps
        self._network = network
        self._readers = readers
        self._topics = topics
        self._heartbeat_s = heartbeat_s
        self._results: OrderedDict[Key, Result] = OrderedDict()

    def beat(self, board: StatusBoard, next_s: float | None = None) -> None:
        """Announce the load now, after ``next_s``, and from then on at every heartbeat."""
        tier = self.station.tier.name
        self._network.carry(1, 1 + board.listening[tier])  # it hears itself
        batcher = self.station.batcher
        load = Load(batcher.queue.wait_s * 1000, batcher.service_s * 1000)
        tasks = (self.station.task,)
        status = Status("online", 1, tasks, load=load, heartbeat_s=self._heartbeat_s)
        board.announce(tier, self, status, self._clock.now_s)
        self._clock.after(next_s or self._heartbeat_s, self.beat, board)

    def take_prompt(self, prompt: Prompt) -> None:
        """Take a prompt from below."""
        self.station.loop.do(self._steps.arrive, self._admit, prompt)

    def take_result(self, result: Result) -> None:
        """Take the copy of a result: the policy learns from it."""
        self.station.loop.do(self._steps.arrive, self._came, result)

    def take_notice(self, prompt_id: UUID, notice: Notice) -> None:
        """Take word from above: an agent is at work on a prompt, or will not have it."""
        self.station.loop.do(self._steps.arrive, self._noticed, prompt_id, notice)

    def _noticed(self, prompt_id: UUID, notice: Notice) -> None:
        self._see_through(self._admission.noticed(prompt_id, notice, self._clock.now_s))

    def _came(self, result: Result) -> None:
        self._see_through(self._admission.came(result))

    def _admit(self, prompt: Prompt) -> None:
        known = self._results.get(key_of(prompt))
        queue = self.station.batcher.queue.queue_for(prompt.origin)
        self._see_through(self._admission.arrived(prompt, known, queue, self._clock.now_s))

    # -- what the core wants done --------------------------------------------------------------

    def _see_through(self, action: Action | None) -> None:
        while action is not None:
            action = self._do(action)

    def _do(self, action: Action) -> Action | None:
        match action:
            case Attempt(prompt):
                return self._admission.attempted(prompt, 1)
            case Process(prompt):
                self.station.process(prompt, self._steps.decide, lambda s: self._judged(action, s))
            case Forward():
                self.station.loop.do(self._steps.pass_on, self._send_on, action)
            case Heed(evidence, then):
                self._heed(evidence)
                return then
            case Working(prompt, then):
                self._notify(prompt, WORKING)
                return then
            case Quarantine():
                return self._admission.quarantined(action)
            case StoreResult():
                return self._store(action)
            case SendResult(prompt, result):
                self._reply(prompt, result)
            case Decline(prompt, code):
                self._notify(prompt, code)
        return None

    def _store(self, store: StoreResult) -> Action | None:
        self._results[key_of(store.prompt)] = store.result
        if len(self._results) > _REMEMBERED:
            self._results.popitem(last=False)
        return self._admission.kept(store)

    def _heed(self, evidence: Sequence[Evidence]) -> None:
        for each in evidence:
            self.station.heed(each)

    def _notify(self, prompt: Prompt, code: str) -> None:
        payload = encode_notice(prompt.id, code, self.name)
        size = packet_bytes(self._topics.results(prompt.sender), payload)
        reader, notice = self._readers[prompt.sender], Notice(code, self.name)
        self._network.send(self.name, prompt.sender, size, reader.take_notice, prompt.id, notice)

    def _send_on(self, send_on: Forward) -> None:
        now_s = self._clock.now_s
        following, again = send_on.following, send_on.again
        up = send_on.onward.escalated.routing.up
        agent = self.station.above.send(
            send_on.prompt, up, to=following.to, tried=following.tried, again=again
        )
        if agent:
            self._see_through(self._admission.sent(send_on, agent, now_s))
        else:
            above = " or ".join(self.station.tier.above)
            self._see_through(self._admission.unsent(send_on, f"no {above} agent took the prompt"))

    def _judged(self, judge: Process, settled: Result | Escalation) -> None:
        self._see_through(self._admission.processed(judge, settled))

    def _reply(self, prompt: Prompt, result: Result) -> None:
        """Send the result to all that are to have it; count its bytes on every link down."""
        for reply in replies(prompt, result, tier=self.station.tier.name, agent=self.name):
            reader, known_hops = reply.reader, reply.known_hops
            payload = encode_result(result, known_hops=known_hops)
            size = packet_bytes(self._topics.results(reader), payload)
            for link in reply.links:
                self._network.link_bytes[link] += size
            new = Result(result.id, result.outcome, result.hops[known_hops:], result.degraded)
            self._network.send(self.name, reader, size, self._readers[reader].take_result, new)
