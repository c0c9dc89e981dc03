"""Files of ``recserve measure``, and times drawn from them."""

from __future__ import annotations

import random
import statistics
from typing import TYPE_CHECKING

import msgspec
import pytest

from experiments.profiling.profile import expected_us, read_measured, write_measured
from experiments.simulator.service_times import ServiceTimes
from shared.errors import DataError
from tests.support.simulated import machine, model_times

if TYPE_CHECKING:
    from pathlib import Path


def test_what_was_written_is_read_again(tmp_path: Path) -> None:
    measured = machine().measured
    write_measured(tmp_path / "here.json", measured)

    assert read_measured(tmp_path / "here.json") == measured


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (None, "recserve measure"),
        (b"{", "is no file of"),
        (b'{"format": 2}', "format"),
        (b"\xff", "is no file of"),
    ],
    ids=["missing", "torn", "of another format", "no text"],
)
def test_a_file_that_is_none_is_named(tmp_path: Path, content: bytes | None, said: str) -> None:
    path = tmp_path / "here.json"
    if content is not None:
        path.write_bytes(content)

    with pytest.raises(DataError, match=said) as caught:
        read_measured(path)

    assert str(path) in str(caught.value)


def test_a_place_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="nowhere"):
        write_measured(tmp_path / "nowhere" / "here.json", machine().measured)


def test_a_run_costs_its_parts() -> None:
    times = msgspec.structs.replace(model_times(200.0, run_us=50.0), byte_us=2.0)

    assert expected_us(times, 30, 1, 2) == 50 + 2 * 200 + 30 * 2


def test_the_lock_is_held_for_its_share_of_a_run_and_never_for_more() -> None:
    times = msgspec.structs.replace(model_times(200.0), held_run_us=100.0, held_prompt_us=30.0)
    held, free = ServiceTimes(times, random.Random(0)).steps([10, 10])
    assert held.warm_s == pytest.approx(160e-6)
    assert free.warm_s == pytest.approx(240e-6)

    whole = msgspec.structs.replace(times, held_run_us=10_000.0)
    held, free = ServiceTimes(whole, random.Random(0)).steps([10])
    assert (held.warm_s, free.warm_s) == pytest.approx((200e-6, 0.0))


def test_times_scatter_as_they_were_measured() -> None:
    spread = tuple(0.5 + number / 20 for number in range(21))  # evenly from 0.5 to 1.5
    times = ServiceTimes(
        msgspec.structs.replace(model_times(100.0), spread=spread), random.Random(0)
    )

    drawn_us = [sum(step.warm_s for step in times.steps([1])) * 1e6 for _ in range(5000)]

    assert statistics.fmean(drawn_us) == pytest.approx(100, rel=0.02)
    assert min(drawn_us) >= 50
    assert max(drawn_us) <= 150


def test_a_cold_run_takes_longer() -> None:
    times = msgspec.structs.replace(model_times(100.0), cold_us=40.0)

    _, free = ServiceTimes(times, random.Random(0)).steps([1])

    assert (free.cold_s, free.warm_s) == pytest.approx((140e-6, 100e-6))
