"""How long models that write take: to read a prompt's tokens, and to write, few texts or many."""

from __future__ import annotations

import random
import statistics
import time
from itertools import product
from typing import TYPE_CHECKING, Final, NamedTuple

import msgspec
import numpy as np

from experiments.profiling.agents import PAUSE_S
from experiments.profiling.fitting import EVEN, nnls, spread_of
from experiments.profiling.held_lock import held_s
from experiments.profiling.profile import TogetherSpeed, WritingTimes, writing_us
from shared.errors import DataError, PromptError
from shared.runtimes import Generator, load_model
from shared.tasks import Request
from shared.tasks.generate import Completion

if TYPE_CHECKING:
    from collections.abc import Sequence

    from shared.runtimes import Entry, Generation, ModelSettings

TOGETHER: Final = (1, 2, 4, 8)
_NEW_TOKENS: Final = (1, 8, 32)
"""A text of one token is read and hardly written: that tells the two apart."""
_JOINED: Final = (1, 1, 4)
"""Prompts are taken alone or several in one, so that they differ in length."""
_COLD_RUNS: Final = 12
_HELD_RUNS: Final = 3
_REPEATS: Final = 3


class WrittenRun(NamedTuple):
    """Texts begun together: their number, tokens read, steps, tokens written, and the time."""

    texts: int
    tokens_in: int
    steps: int
    tokens_out: int
    us: float


class NamedWritingTimes(NamedTuple):
    """A model's name and its times."""

    name: str
    times: WritingTimes


class WriterBench:
    """Models that write, of which each is measured a little at a time, as by ``models.Bench``."""

    def __init__(self, settings: Sequence[ModelSettings], texts: Sequence[str]) -> None:
        nnls()  # sooner than after all the work
        self._settings = settings
        self._models = [_load(one) for one in settings]
        self._texts = texts
        self._draw = random.Random(1)  # noqa: S311 - draws texts, guards nothing
        self._warm: list[list[WrittenRun]] = [[] for _ in settings]
        self._cold: list[list[WrittenRun]] = [[] for _ in settings]
        self._held: list[list[float]] = [[] for _ in settings]
        for model in self._models:
            self._run(model, 1, 8)

    def round(self) -> None:
        """Have every model write, few texts and many, short ones and long, cold and warm."""
        for row, model in enumerate(self._models):
            for together, new_tokens in product(TOGETHER, _NEW_TOKENS * _REPEATS):
                self._warm[row].append(self._run(model, together, new_tokens))
            for _ in range(_COLD_RUNS):
                time.sleep(PAUSE_S)
                self._cold[row].append(self._run(model, 1, 1))
            self._held[row].append(self._held_share(model))

    def close(self) -> list[NamedWritingTimes]:
        """Let go of the models; return the times of each, in their order."""
        found = []
        for row, (settings, model) in enumerate(zip(self._settings, self._models, strict=True)):
            held = statistics.median(self._held[row])
            times = fit_writing(self._warm[row], self._cold[row], held, max(settings.threads, 1))
            found.append(NamedWritingTimes(model.name, times))
            model.close()
        return found

    def _run(self, model: Generator, together: int, new_tokens: int) -> WrittenRun:
        asked = [self._request(new_tokens) for _ in range(together)]
        begun_s = time.perf_counter()
        answers = write_together(model, asked)
        us = (time.perf_counter() - begun_s) * 1e6
        return WrittenRun(
            together,
            sum(answer.tokens_in for answer in answers),
            max(answer.tokens_out for answer in answers),
            sum(answer.tokens_out for answer in answers),
            us,
        )

    def _request(self, new_tokens: int) -> Request:
        text = " ".join(self._draw.choices(self._texts, k=self._draw.choice(_JOINED)))
        return Request("generate", text, {"max_new_tokens": new_tokens})

    def _held_share(self, model: Generator) -> float:
        """Return the share of its time in which the model holds the interpreter's lock."""

        def write_some() -> float:
            return sum(self._run(model, 1, 8).us for _ in range(_HELD_RUNS)) * 1e-6

        alone_s = write_some()
        return min(held_s(write_some) / alone_s, 1.0)


def write_together(model: Generator, asked: Sequence[Request]) -> list[Completion]:
    """Return the texts of requests that are begun together. Raises ``DataError`` if one fails."""
    running: dict[int, Generation] = {row: model.begin(each) for row, each in enumerate(asked)}
    ended: dict[int, Entry] = {}
    while running:
        entries = model.step(list(running.values()))
        for row, entry in zip(tuple(running), entries, strict=True):
            if entry is not None:
                running.pop(row).close()
                ended[row] = entry
    return [_text(each.content, ended[row]) for row, each in enumerate(asked)]


def fit_writing(
    warm: Sequence[WrittenRun], cold: Sequence[WrittenRun], held_share: float, threads: int
) -> WritingTimes:
    """Fit what reading and writing takes to what was measured; relative errors count."""
    rows = np.array([[run.texts, run.tokens_in, run.steps, run.tokens_out] for run in warm], float)
    took_us = np.array([run.us for run in warm])
    found, _ = nnls()(rows / took_us[:, None], np.ones(len(warm)))
    times = WritingTimes(
        threads=threads,
        prefill_us=round(float(found[0]), 2),
        prefill_token_us=round(float(found[1]), 3),
        step_us=round(float(found[2]), 2),
        decode_token_us=round(float(found[3]), 2),
        held_share=round(held_share, 3),
        cold_us=0.0,
        spread=EVEN,
        together=tuple(_speed(warm, texts) for texts in TOGETHER),
    )
    late_us = statistics.median(run.us - _expected_us(times, run) for run in cold)
    ratios = [run.us / _expected_us(times, run) for run in warm]
    return msgspec.structs.replace(
        times, cold_us=round(max(late_us, 0.0), 2), spread=spread_of(ratios)
    )


def _load(settings: ModelSettings) -> Generator:
    model = load_model(settings)
    if not isinstance(model, Generator):
        raise DataError(f"{settings.source}: is no model that writes token by token")
    return model


def _text(prompt: str, entry: Entry) -> Completion:
    if isinstance(entry, PromptError) or not isinstance(entry.answer, Completion):
        raise DataError(f"the model fails on {prompt[:60]!r}: {entry}")
    return entry.answer


def _expected_us(times: WritingTimes, run: WrittenRun) -> float:
    return writing_us(
        times,
        texts=run.texts,
        tokens_in=run.tokens_in,
        steps=run.steps,
        tokens_out=run.tokens_out,
    )


def _speed(runs: Sequence[WrittenRun], texts: int) -> TogetherSpeed:
    """Return how fast the longest of these texts were written, reading included."""
    together = [run for run in runs if run.texts == texts]
    longest = [run for run in together if run.steps > _NEW_TOKENS[0]] or together
    speeds = [run.tokens_out / run.us * 1e6 for run in longest]
    return TogetherSpeed(texts, round(statistics.median(speeds), 1))
