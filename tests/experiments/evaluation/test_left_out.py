"""Runs by another head stand beside the others, on the same orders."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from experiments.evaluation.evaluate import PolicyRun, SetResult
from experiments.evaluation.left_out import ADAPTING, LEFT_OUT, LEFT_OUT_ADAPTING, run_with
from experiments.evaluation.offline import replay
from experiments.evaluation.study import Candidate
from shared.cascade.policies import KeepAll, PolicySettings, Quantile
from shared.runtimes.agreement_head import FEATURES, AgreementHead, Expert
from tests.support.matrices import random_matrix


def result() -> SetResult:
    matrix = random_matrix(60)
    device, *above = matrix.tiers
    headed = replace(device, agreement=np.linspace(0.1, 0.9, 60))
    matrix = replace(matrix, tiers=(headed, *above))
    policies: tuple[PolicySettings, ...] = (
        Quantile(beta=0.4),
        *([Quantile(beta=0.4)] * (len(above) - 1)),
        KeepAll(),
    )
    runs = []
    for seed in range(2):
        rows = np.random.default_rng(seed).permutation(60).tolist()
        for name in ("agreement", "other"):
            replayed = replay(matrix.take(rows), policies, seed=seed)
            runs.append(PolicyRun(Candidate(name, {}, policies), seed, rows, replayed))
    return SetResult(matrix, tuple(runs))


def test_a_policy_is_run_by_another_head_and_learning_on_every_order() -> None:
    before = result()
    head = AgreementHead(Expert(bytes(16), scale=1.0, constants=(0.0,)), [0.3] * (FEATURES + 1))

    after = run_with(head, before, "agreement")

    assert after.runs[:4] == before.runs
    added = after.runs[4:]
    assert [run.candidate.name for run in added] == [ADAPTING, LEFT_OUT, LEFT_OUT_ADAPTING] * 2
    assert [run.rows for run in added[::3]] == [run.rows for run in before.runs[::2]]
    by_name = {run.candidate.name: run for run in added[:3]}
    own, other = (
        before.matrix.tiers[0].agreement,
        by_name[LEFT_OUT].replay.matrix.tiers[0].agreement,
    )
    assert own is not None
    assert other is not None
    assert not np.allclose(own[by_name[LEFT_OUT].rows], other)
    assert [run.replay.learns[0] for run in added[:3]] == [True, False, True]
