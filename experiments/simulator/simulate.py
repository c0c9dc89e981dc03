"""Plays prompts to a planned installation and returns what became of them, as records of a replay.

The time that passes is the simulation's own; the decisions are those of ``shared.cascade.tier``,
and the messages are repeated, declined and answered as ``device_agent.delivery.protocol`` and
``shared.protocol.admission`` say.
"""

from __future__ import annotations

import random
import statistics
from itertools import takewhile
from typing import TYPE_CHECKING, NamedTuple

from experiments.replay.pacing import DUE_AT_ONCE
from experiments.replay.recording import Times, make_record
from experiments.replay.records import LOST
from experiments.replay.samples import Sample
from experiments.replay.saturation import Tick
from experiments.replay.schedule import prompt_id
from experiments.replay.target import ReplayRequest, Response
from experiments.simulator.build import build_world
from experiments.simulator.cpu import TURN
from experiments.simulator.world import WATCH_S
from shared.messages import Prompt

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from experiments.replay.records import Record
    from experiments.replay.schedule import ScheduledRequest
    from experiments.simulator.scenario import Scenario
    from experiments.simulator.world import GeneratorNode, Placement, World
    from shared.messages import Result

_SAMPLE_S = 1.0
_PATIENCE_S = 60.0
_TIMER_S = 0.001


class Utilisation(NamedTuple):
    """How busy an agent was: shares of the time, of its event loop or its model, whichever is more.

    ``tier`` is empty for the broker. An agent at 1.0 can do no more, whatever cores are idle.
    ``cores`` is the share of its machine's cores that were at work, for it or for others.
    """

    agent: str
    tier: str
    share: float
    cores: float


class Simulated(NamedTuple):
    """What became of the prompts, second by second, and how busy everybody was."""

    records: list[Record]
    samples: list[Sample]
    ticks: list[Tick]
    ended_s: float
    busy: list[Utilisation]
    link_bytes: dict[str, int]


def simulate(
    plan: Scenario,
    plays: Sequence[ScheduledRequest],
    *,
    run: str = "plan",
    timeout_s: float = 30.0,
    seed: int = 0,
    watch: Callable[[int], None] | None = None,
) -> Simulated:
    """Play prompts at their times (open loop); ``watch`` is told now and then how many are done.

    Equal seeds give equal records.
    """
    playing = _Playing(build_world(plan, seed), run, timeout_s, seed, watch)
    return playing.play(plays)


class _Asked(NamedTuple):
    play: ScheduledRequest
    question: ReplayRequest
    sent_s: float


class _Playing:
    def __init__(
        self,
        world: World,
        run: str,
        timeout_s: float,
        seed: int,
        watch: Callable[[int], None] | None,
    ) -> None:
        self._world = world
        self._clock = world.clock
        self._run = run
        self._seed = seed
        self._timeout_s = timeout_s
        self._watch = watch
        self._records: list[Record] = []
        self._samples: list[Sample] = []
        self._ticks: list[Tick] = []
        self._sent = 0
        self._asked: dict[int, _Asked] = {}
        self._lateness_s: list[float] = []

    def play(self, plays: Sequence[ScheduledRequest]) -> Simulated:
        if self._world.generator is None:
            for play in plays:
                self._clock.at(play.at_s, self._ask, play)
        else:
            self._generate(plays, self._world.generator)
        self._sample()
        longest_s = max((play.timeout_s or self._timeout_s for play in plays), default=0.0)
        latest_s, end_s = 0.0, plays[-1].at_s + longest_s + _PATIENCE_S
        due = 0
        while len(self._records) < len(plays) and latest_s < end_s:
            latest_s += _SAMPLE_S
            self._clock.run(latest_s)
            while due < len(plays) and plays[due].at_s <= latest_s:
                due += 1
            self._tick(latest_s, due)
            if self._watch is not None:
                self._watch(len(self._records))
        self._give_up()
        ended_s = max(record.done_s for record in self._records)
        busy = [self._used(name, seat) for name, seat in self._world.agents.items()]
        link_bytes = dict(self._world.network.link_bytes)
        return Simulated(self._records, self._samples, self._ticks, ended_s, busy, link_bytes)

    def _used(self, name: str, seat: Placement) -> Utilisation:
        busy_s = max(worker.busy_s for worker in seat.workers)
        cores_s = seat.processor.worked_s / seat.processor.cores
        return Utilisation(name, seat.tier, busy_s / self._clock.now_s, cores_s / self._clock.now_s)

    def _give_up(self) -> None:
        """Make records of what never came, as a replay does."""
        for play, question, sent_s in self._asked.values():
            reason = f"nothing came back in {question.timeout_s:g} s"
            times = Times(play.at_s, sent_s, sent_s + question.timeout_s)
            reply = Response(error=LOST, reason=reason)
            self._records.append(make_record(play, question, reply, times, self._world.topics))

    def _generate(self, plays: Sequence[ScheduledRequest], generator: GeneratorNode) -> None:
        """Let a replay send the prompts, as ``experiments.replay.pacing.open_loop`` does.

        Its timer is up to a millisecond late. Of what is due it sends a few, then lets the loop do
        whatever else there is: a replay that is asked for too much falls behind with sending.
        """
        draw = random.Random(f"{self._seed} timer")  # noqa: S311 - guards nothing

        def go_on(first: int) -> None:
            now_s = self._clock.now_s
            few = plays[first : first + DUE_AT_ONCE]
            due = list(takewhile(lambda play: play.at_s <= now_s, few))
            for play in due:
                generator.loop.do(generator.send, self._ask, play)
            following = first + len(due)
            if due:
                generator.loop.do(TURN, go_on, following)
            elif following < len(plays):
                at_s = plays[following].at_s + draw.random() * _TIMER_S
                self._clock.at(at_s, go_on, following)

        go_on(0)

        def watch() -> None:
            generator.loop.do(generator.watch, lambda: None)
            self._clock.after(WATCH_S, watch)

        watch()

    def _ask(self, play: ScheduledRequest) -> None:
        timeout_s = play.timeout_s or self._timeout_s
        sent_s = self._clock.now_s
        self._sent += 1
        self._lateness_s.append(sent_s - play.at_s)
        number = prompt_id(self._run, play.number)
        question = ReplayRequest(
            number, play.device, play.task, play.text, timeout_s, options=play.options
        )
        prompt = Prompt(
            number,
            play.device,
            play.task,
            play.text,
            sent_s + timeout_s,
            priority=play.priority,
            options=play.options,
        )
        self._asked[play.number] = _Asked(play, question, sent_s)

        def answered(result: Result) -> None:
            if self._world.generator is None:
                record(result)
            else:
                generator = self._world.generator
                generator.loop.do(generator.record, record, result)

        def record(result: Result) -> None:
            times = Times(play.at_s, sent_s, self._clock.now_s)
            reply = Response.of(result)
            del self._asked[play.number]
            self._records.append(make_record(play, question, reply, times, self._world.topics))

        self._world.devices[play.device].ask(prompt, answered)

    def _tick(self, at_s: float, due: int) -> None:
        """Note what a replay notes once a second."""
        lateness_s = statistics.median(self._lateness_s) if self._lateness_s else 0.0
        self._lateness_s.clear()
        self._ticks.append(Tick(at_s, due, self._sent, len(self._records), lateness_s))

    def _sample(self) -> None:
        """Note once a second what every upper agent has done, and the devices together."""
        at_s = round(self._clock.now_s, 3)
        for (name, tier), tally in self._world.tallies.items():
            self._samples.append(
                Sample(
                    at_s,
                    name,
                    tier,
                    waiting=tally.waiting,
                    batches=tally.runs,
                    batched=tally.batched,
                    queued=tally.queued,
                    queued_s=tally.queued_s,
                    tokens_read=tally.tokens_read,
                    tokens_written=tally.tokens_written,
                )
            )
        self._clock.after(_SAMPLE_S, self._sample)
