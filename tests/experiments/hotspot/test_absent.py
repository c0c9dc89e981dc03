from __future__ import annotations

from typing import TYPE_CHECKING

from experiments.hotspot.absent import half_absent
from experiments.hotspot.facts import generate
from shared.runtimes.onnx_embedder import OnnxEmbedder

if TYPE_CHECKING:
    from pathlib import Path


def test_with_half_of_it_absent_the_verifier_is_seldom_wrong_where_a_threshold_often_is(
    embedder: Path,
) -> None:
    found = half_absent(generate(900, 5), OnnxEmbedder(str(embedder)))

    assert found["verifier"].false_reuse <= 0.015
    assert found["verifier"].recall >= 0.75
    assert found["threshold 0.80"].false_reuse >= 8 * found["verifier"].false_reuse
    assert found["threshold 0.80"].false_reuse >= 0.10
