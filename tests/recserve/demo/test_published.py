"""RecServe as published, replayed beside the demo: only where there is something to compare."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from rich.console import Console

from experiments.evaluation.matrix import Matrix
from experiments.evaluation.offline import replay
from recserve.demo.published import as_published
from recserve.demo.table import print_report
from shared.cascade.policies import KeepAll, Quantile
from shared.wire.topics import Topics
from tests.support.matrices import random_matrix

POLICIES = (Quantile(beta=0.4), Quantile(beta=0.2), Quantile())


def headed() -> Matrix:
    matrix = random_matrix(300)
    device, *others = matrix.tiers
    said = np.random.default_rng(3).random(300)
    return Matrix(matrix.data, (replace(device, agreement=said), *others))


def test_it_goes_by_the_largest_probability_with_the_tiers_own_rates_from_empty_windows() -> None:
    expected = replay(
        random_matrix(300),
        [Quantile(beta=0.4, prior_prompts=0), Quantile(beta=0.2, prior_prompts=0), KeepAll()],
    )

    published = as_published(headed(), POLICIES, Topics())

    assert published is not None
    assert published.tier.tolist() == expected.tier.tolist()
    assert published.right.tolist() == expected.right.tolist()
    assert list(published.burden_bytes) == ["device-edge", "edge-cloud"]


@pytest.mark.parametrize(
    ("matrix", "policies"),
    [
        (random_matrix(50), POLICIES),
        (headed(), (KeepAll(), Quantile(), Quantile())),
    ],
)
def test_without_a_head_or_a_rate_there_is_no_second_column(
    matrix: Matrix, policies: tuple[KeepAll | Quantile, ...]
) -> None:
    assert as_published(matrix, policies, Topics()) is None


def test_the_table_says_when_so_few_prompts_tell_no_difference() -> None:
    assert "no difference" in _printed([-0.02, 0.01])
    assert "no difference" not in _printed([0.01, 0.04])
    assert "points of accuracy by agreement: +1.5 [+1.0, +4.0]" in _printed([0.01, 0.04])


def _printed(interval: list[float]) -> str:
    base = {"accuracy": 0.8, "accuracy_interval_95": [0.7, 0.9], "burden_bytes": 2048}
    tier: dict[str, Any] = {"share": 1.0, "accuracy": 0.8, "escalation_rate": 0.3, "beta": 0.3}
    tier |= {"latency_ms": {"p50": 1.0, "p95": 2.0, "p99": 3.0}}
    report = base | {
        "tiers": {"device": tier},
        "baselines": {"cloud": base},
        "burden_bytes": {"device-cloud": 1024},
        "sent": 30,
        "as_published": base
        | {
            "share": {"device": 1.0},
            "sent": 31,
            "gained": 0.015,
            "gained_interval_95": interval,
            "burden_bytes": {"device-cloud": 1000},
        },
        "prompts": 100,
        "results": 100,
        "duplicates": 0,
        "errors": 0,
        "degraded": 0,
        "elapsed_s": 1.0,
    }
    console = Console(record=True, width=80, file=None, quiet=False)
    with console.capture() as captured:
        print_report(console, report)
    return captured.get()
