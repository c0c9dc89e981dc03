"""Plays prompts to a planned installation and returns what became of them, as records of a replay.

The time that passes is the simulation's own; the decisions are those of ``shared.cascade``, and the
messages are repeated, declined and answered as ``device_agent.delivery`` and ``shared.admission``
say.
"""

from __future__ import annotations

import random
from itertools import groupby
from typing import TYPE_CHECKING, NamedTuple

from experiments.playback.plays import prompt_id
from experiments.playback.recording import Times, make_record
from experiments.playback.samples import Sample
from experiments.playback.target import Question, Reply
from planning.world import WATCH_S, build_world
from shared.messages import Prompt

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from experiments.playback.plays import Play
    from experiments.playback.records import Record
    from planning.station import Station
    from planning.world import Generator, World, WorldPlan
    from shared.messages import Result

_SAMPLE_S = 1.0
_PATIENCE_S = 60.0
_TIMER_S = 0.001


class Simulated(NamedTuple):
    """What became of the prompts; ``busy`` is the share of its cores each machine used."""

    records: list[Record]
    samples: list[Sample]
    ended_s: float
    busy: dict[str, float]


def simulate(
    plan: WorldPlan,
    plays: Sequence[Play],
    *,
    run: str = "plan",
    timeout_s: float = 30.0,
    seed: int = 0,
    watch: Callable[[int], None] | None = None,
) -> Simulated:
    """Play prompts at their times (open loop); ``watch`` is told now and then how many are done.

    Equal seeds give equal records.
    """
    playing = _Playing(build_world(plan, seed), run, timeout_s, watch)
    return playing.play(plays)


class _Playing:
    def __init__(
        self, world: World, run: str, timeout_s: float, watch: Callable[[int], None] | None
    ) -> None:
        self._world = world
        self._clock = world.clock
        self._run = run
        self._timeout_s = timeout_s
        self._watch = watch
        self._records: list[Record] = []
        self._samples: list[Sample] = []

    def play(self, plays: Sequence[Play]) -> Simulated:
        if self._world.generator is None:
            for play in plays:
                self._clock.at(play.at_s, self._ask, play)
        else:
            self._generate(plays, self._world.generator)
        self._sample()
        latest_s = plays[-1].at_s
        while len(self._records) < len(plays):
            latest_s += _SAMPLE_S
            self._clock.run(latest_s)
            if self._watch is not None:
                self._watch(len(self._records))
            if latest_s > plays[-1].at_s + self._timeout_s * 2 + _PATIENCE_S:
                break
        ended_s = max((record.done_s for record in self._records), default=latest_s)
        busy = {
            name: processor.worked_s / (processor.cores * self._clock.now_s)
            for name, processor in self._world.processors.items()
        }
        return Simulated(self._records, self._samples, ended_s, busy)

    def _generate(self, plays: Sequence[Play], generator: Generator) -> None:
        """Let a replay send the prompts: its timer is up to a millisecond late."""
        draw = random.Random(self._run)  # noqa: S311 - guards nothing
        for at_s, together in groupby(plays, key=lambda play: play.at_s):
            late_s = at_s + draw.random() * _TIMER_S
            for play in together:
                self._clock.at(late_s, generator.loop.do, generator.send, self._ask, play)

        def watch() -> None:
            generator.loop.do(generator.watch, lambda: None)
            self._clock.after(WATCH_S, watch)

        watch()

    def _ask(self, play: Play) -> None:
        timeout_s = play.timeout_s or self._timeout_s
        sent_s = self._clock.now_s
        number = prompt_id(self._run, play.number)
        question = Question(number, play.device, play.task, play.text, timeout_s)
        prompt = Prompt(number, play.device, play.task, play.text, sent_s + timeout_s)

        def answered(result: Result) -> None:
            if self._world.generator is None:
                record(result)
            else:
                generator = self._world.generator
                generator.loop.do(generator.record, record, result)

        def record(result: Result) -> None:
            times = Times(play.at_s, sent_s, self._clock.now_s)
            reply = Reply.of(result)
            self._records.append(make_record(play, question, reply, times, self._world.topics))

        self._world.devices[play.device].ask(prompt, answered)

    def _sample(self) -> None:
        """Note once a second what every upper agent has done, and the devices together."""
        at_s = self._clock.now_s
        for name, agent in self._world.uppers.items():
            self._samples.append(_sample_of(at_s, name, [agent.station]))
        devices = [device.station for device in self._world.devices.values()]
        self._samples.append(_sample_of(at_s, "devices", devices))
        self._clock.after(_SAMPLE_S, self._sample)


def _sample_of(at_s: float, name: str, stations: Sequence[Station]) -> Sample:
    batchers = [station.batcher for station in stations]
    return Sample(
        round(at_s, 3),
        name,
        stations[0].tier.name,
        waiting=sum(batcher.waiting for batcher in batchers),
        batches=sum(batcher.done.runs for batcher in batchers),
        batched=sum(batcher.done.prompts for batcher in batchers),
        queued=sum(batcher.done.prompts for batcher in batchers),
        queued_s=sum(batcher.done.waited_s for batcher in batchers),
    )
