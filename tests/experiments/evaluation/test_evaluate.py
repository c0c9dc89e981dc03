from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec
import numpy as np
import pytest

from experiments.evaluation.evaluate import run_study
from experiments.evaluation.study import Study
from shared.errors import BundleError
from tests.experiments.conftest import films
from tests.support.heads import FUSION, give_head
from tests.support.tiny_models import write_bundle

if TYPE_CHECKING:
    from pathlib import Path


def study(folder: Path, answers: dict[str, str]) -> Study:
    """A device and a cloud of one tiny model each, and one policy twice: as served, and so."""
    path, data = folder / "films.tsv", films(30)
    rows = (f"{text}\t{label}" for text, label in zip(data.texts, data.labels, strict=True))
    path.write_text("\n".join(["text\tlabel", *rows]) + "\n")
    tiers = [
        {"tier": name, "model": {"source": str(folder / name)}} for name in ("device", "cloud")
    ]
    keep = [{"kind": "keep"}]
    policies = [
        {"name": "own", "tiers": keep},
        {"name": "fused", "answers": answers, "tiers": keep},
    ]
    return msgspec.convert(
        {"name": "both", "sets": [{"name": "films", "place": str(path)}], "tiers": tiers}
        | {"policies": policies},
        Study,
    )


def test_a_policy_may_be_tried_on_other_answers_than_those_that_are_served(tmp_path: Path) -> None:
    pytest.importorskip("onnx")
    give_head(write_bundle(tmp_path / "device"), fusion=FUSION)
    write_bundle(tmp_path / "cloud")

    (result,) = run_study(study(tmp_path, {"device": "fused"}), tmp_path / "answers")

    own, fused = result.runs
    served = result.matrix.take(own.rows).tiers[0]
    assert own.rows == fused.rows
    assert np.array_equal(own.replay.given(own.replay.matrix.label_indexes), served.labels)
    assert not np.array_equal(fused.replay.given(fused.replay.matrix.label_indexes), served.labels)
    assert np.array_equal(
        fused.replay.given(fused.replay.matrix.label_indexes), fused.replay.matrix.tiers[0].labels
    )


def test_answers_that_cannot_be_fused_are_refused_before_any_model_runs(tmp_path: Path) -> None:
    pytest.importorskip("onnx")
    for name in ("device", "cloud"):
        write_bundle(tmp_path / name)

    with pytest.raises(BundleError, match="answers are to be fused, but the bundle has no head"):
        run_study(study(tmp_path, {"device": "fused"}), tmp_path / "answers")

    assert not (tmp_path / "answers").exists()
