"""``recserve measure``: fits that must come out right, and one short run with real agents."""

from __future__ import annotations

import random
import statistics
from typing import TYPE_CHECKING

import pytest
from click.testing import CliRunner

from experiments.profiling import agents as measuring
from experiments.profiling import models as measuring_models
from experiments.profiling.agents import Agents, Spent, Way
from experiments.profiling.handling import make_handling
from experiments.profiling.models import TimedRun, fit
from experiments.profiling.profile import Cost, expected_us, read_measured
from recserve.cli import main
from tests.support.processes import skip_without
from tests.support.simulated import model_times

if TYPE_CHECKING:
    from pathlib import Path

    from experiments.profiling.profile import ModelTimes


def runs(
    count: int, *, noise: float = 0.0, extra_us: float = 0.0, sizes: int = 6
) -> list[TimedRun]:
    """Runs of a model that takes 300 µs, 100 µs a prompt and 2 µs a byte."""
    draw = random.Random(4)
    made = []
    for number in range(count):
        batch = tuple(draw.randrange(20, 300) for _ in range(2 ** (number % sizes)))
        exact_us = 300 + 100 * len(batch) + 2 * sum(batch) + extra_us
        made.append(TimedRun(batch, exact_us * (1 + noise * draw.uniform(-1, 1))))
    return made


def fitted(noise: float = 0.0) -> ModelTimes:
    held_us = {1: 90.0, 8: 300.0}
    return fit(runs(600, noise=noise), runs(60, extra_us=150, sizes=1), held_us, 2)


def test_a_fit_finds_the_times_that_were_put_in() -> None:
    times = fitted()

    assert times.run_us == pytest.approx(300, rel=0.01)
    assert times.prompt_us == pytest.approx(100, rel=0.01)
    assert times.byte_us == pytest.approx(2, rel=0.01)
    assert times.cold_us == pytest.approx(150, rel=0.02)
    assert (times.held_run_us, times.held_prompt_us) == pytest.approx((60, 30))
    assert times.threads == 2


def test_noise_goes_into_the_spread() -> None:
    """A run takes its expected time, times what is drawn from the spread."""
    times = fitted(noise=0.2)

    mean_us = expected_us(times, 400, 1, 4) * statistics.fmean(times.spread)
    assert mean_us == pytest.approx(300 + 400 + 800, rel=0.03)
    low, middle, high = (times.spread[place] / times.spread[10] for place in (0, 10, 20))
    assert (low, middle, high) == pytest.approx((0.8, 1.0, 1.2), abs=0.05)


def test_no_time_is_negative() -> None:
    """Where longer texts were faster by chance, bytes cost nothing."""
    warm = [TimedRun((size,), 500.0 - size / 10) for size in range(20, 300)]
    warm += [TimedRun((size,) * 2, 900.0 - size / 10) for size in range(20, 300)]

    # Every size of batch that is reported must have been run.
    warm += [TimedRun((50,) * size, 450.0 * size) for size in measuring_models.SIZES]
    times = fit(warm, warm[:10], {1: 10.0, 8: 20.0}, 1)

    assert times.byte_us == 0
    assert min(times.run_us, times.prompt_us, times.cold_us) >= 0


def costs(cost: Cost) -> tuple[float, float]:
    return cost.cold_us, cost.warm_us


def way(latency_ms: float, **cpu_us: float) -> Way:
    """The same cold and warm, but for a warm one at half the cost."""
    cold = {name.replace("_", "-"): us * 1e-6 for name, us in cpu_us.items()}
    warm = {name: us / 2 for name, us in cold.items()}
    runs = dict.fromkeys(cold, 1.0)
    return Way(Spent(latency_ms / 1000, cold, runs), Spent(latency_ms / 1000, warm, runs))


def test_the_shares_of_the_processes_are_taken_apart() -> None:
    """Every model takes 200 µs of a prompt."""
    agents = Agents(
        ways={
            "device": way(1.0, fleet=1000, edge_1=0, cloud_1=0, broker=0),
            "edge": way(3.0, fleet=1800, edge_1=2200, cloud_1=0, broker=300),
            "cloud": way(5.0, fleet=1900, edge_1=2600, cloud_1=2200, broker=450),
        },
        replay=way(0.0, fleet=80),
        watched=Spent(0.0, {"fleet": 0.012}, {}),
        text_bytes=50.0,
    )

    handling = make_handling(agents, [model_times(200.0)] * 3)

    assert costs(handling.keep) == pytest.approx((800, 300))
    assert costs(handling.escalate) == pytest.approx((800, 400))
    assert costs(handling.answer) == pytest.approx((2000, 900))
    assert costs(handling.pass_on) == pytest.approx((2400, 1100))
    assert costs(handling.message) == pytest.approx((150, 75))
    assert costs(handling.generate) == pytest.approx((80, 40))
    assert handling.watch_us == pytest.approx(12_000)
    # 2 ms beyond the device, less the model's 0.2, of 800 + 2,000 + 2 · 150 µs of work.
    assert handling.on_path == pytest.approx(1800 / 3100)


@pytest.mark.slow
def test_a_short_measurement_of_real_agents(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    skip_without("mosquitto")
    for name, value in (
        ("_COLD_PROMPTS", 20),
        ("_WARM_PROMPTS", 100),
        ("_WARM_UP_PROMPTS", 20),
        ("_WATCHED_S", 1),
    ):
        monkeypatch.setattr(measuring, name, value)
    for name, value in (("_RUNS", 3), ("_COLD_RUNS", 4), ("_HELD_RUNS", 2), ("_HELD_TIMES", 2)):
        monkeypatch.setattr(measuring_models, name, value)
    out = tmp_path / "here.json"

    ran = CliRunner().invoke(
        main,
        [
            "measure",
            "models/bundles/sentiment-edge",
            *("--rounds", "1", "--out", str(out), "--name", "tested"),
        ],
    )

    assert ran.exit_code == 0, ran.output
    measured = read_measured(out)
    assert measured.machine == "tested"
    assert list(measured.models) == ["sentiment-edge"]
    times = measured.models["sentiment-edge"]
    assert [batch.prompts for batch in times.batches] == list(measuring_models.SIZES)
    assert 50 < expected_us(times, 70, 1) < 1_000_000
    handling = measured.handling
    assert 0 < handling.on_path <= 1
    assert handling.answer.cold_us > 0
    assert handling.message.warm_us > 0


def test_a_folder_that_is_no_bundle_is_named(tmp_path: Path) -> None:
    ran = CliRunner().invoke(main, ["measure", str(tmp_path), "--out", str(tmp_path / "m.json")])

    assert ran.exit_code == 2
    assert str(tmp_path) in ran.output
    assert "Traceback" not in ran.output
