"""What a memory costs is measured on entries that are there and on questions of both kinds."""

from __future__ import annotations

import pytest

from experiments.hotspot.lookup_cost import main, measure
from shared.runtimes.onnx_embedder import OnnxEmbedder

pytest.importorskip("torch")
pytest.importorskip("onnxscript")


def test_every_question_is_timed_in_a_memory_that_is_full(embedder: str) -> None:
    cost = measure(OnnxEmbedder(embedder), 60, questions=20)

    assert cost.entries == 60
    assert len(cost.embedding) == len(cost.looking_up) == 20
    assert len(cost.by_words) == 10
    assert len(cost.half_learned) == 20
    times_ms = (*cost.both, *cost.by_words, *cost.half_learned, cost.refit)
    assert all(time_ms > 0 for time_ms in times_ms)


def test_it_wants_an_embedder(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main([])
    assert "name the folder of an embedder" in capsys.readouterr().err
