"""What writing costs is taken apart into reading, steps and tokens, of a real model as well."""

from __future__ import annotations

import random
from typing import TYPE_CHECKING

import pytest

from experiments.profiling import writers as measuring
from experiments.profiling.writers import (
    TOGETHER,
    WriterBench,
    WrittenRun,
    fit_writing,
    write_together,
)
from shared.errors import DataError, ModelFailed
from shared.runtimes import ModelSettings
from shared.tasks import Request
from tests.support.fakes import SteppingModel
from tests.support.tiny_models import write_bundle

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from shared.runtimes import Entry, Generation


def runs(count: int, *, extra_us: float = 0.0, alone: bool = False) -> list[WrittenRun]:
    """Runs of a model with 400 µs a prompt and 30 a token of it, 2,000 a step and 500 a token."""
    draw = random.Random(3)
    made = []
    for number in range(count):
        texts = 1 if alone else TOGETHER[number % len(TOGETHER)]
        read = sum(draw.randrange(5, 60) for _ in range(texts))
        lengths = [draw.choice((1, 8, draw.randrange(9, 33))) for _ in range(texts)]
        steps, written = max(lengths), sum(lengths)
        us = 400 * texts + 30 * read + 2000 * steps + 500 * written + extra_us
        made.append(WrittenRun(texts, read, steps, written, us))
    return made


def test_a_fit_finds_the_times_that_were_put_in() -> None:
    times = fit_writing(runs(400), runs(30, extra_us=700, alone=True), 0.9, 1)

    assert times.prefill_us == pytest.approx(400, rel=0.02)
    assert times.prefill_token_us == pytest.approx(30, rel=0.02)
    assert times.step_us == pytest.approx(2000, rel=0.02)
    assert times.decode_token_us == pytest.approx(500, rel=0.02)
    assert times.cold_us == pytest.approx(700, rel=0.02)
    assert times.held_share == 0.9
    speeds = [speed.tokens_s for speed in times.together]
    assert [speed.texts for speed in times.together] == list(TOGETHER)
    assert speeds == sorted(speeds), "steps are shared, so more together are faster"


def test_a_prompt_that_the_model_fails_on_is_named() -> None:
    class BrokenWriter(SteppingModel):
        def step(self, generations: Sequence[Generation]) -> list[Entry | None]:
            return [ModelFailed("it is broken") for _ in generations]

    with pytest.raises(DataError, match="fails on 'hello': it is broken"):
        write_together(BrokenWriter(), [Request("generate", "hello")])


def test_a_model_that_does_not_write_is_refused(tmp_path: Path) -> None:
    bundle = write_bundle(tmp_path / "sentiment")

    with pytest.raises(DataError, match="is no model that writes"):
        WriterBench([ModelSettings(source=str(bundle.folder))], ["a text"])


def test_a_real_model_is_measured(monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("onnxruntime_genai")
    monkeypatch.setattr(measuring, "_COLD_RUNS", 2)
    settings = ModelSettings(
        source="models/bundles/translate-device", runtime="genai", batch_prompts=8
    )

    bench = WriterBench([settings], ["A dog runs.", "Two men sit on a bench in the park."])
    bench.round()
    ((name, times),) = bench.close()

    assert name == "translate-device"
    assert times.step_us + times.decode_token_us > 0
    assert 0 <= times.held_share <= 1
    assert [speed.texts for speed in times.together] == list(TOGETHER)
    assert all(speed.tokens_s > 0 for speed in times.together)
