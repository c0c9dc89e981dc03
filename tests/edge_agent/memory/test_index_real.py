"""The lists of the index hold real questions as they hold drawn topics."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest

from edge_agent.memory.index import build
from experiments.hotspot.facts import generate
from shared.runtimes.onnx_embedder import OnnxEmbedder
from tests.support.embedders import pack_minilm

if TYPE_CHECKING:
    from pathlib import Path


@pytest.mark.long
@pytest.mark.timeout(600)
@pytest.mark.parametrize("count", [4_000, 14_000])
def test_the_nearest_of_real_questions_is_found_by_looking_at_a_few_lists(
    tmp_path: Path, count: int
) -> None:
    facts, loaded = generate(count, 3), OnnxEmbedder(str(pack_minilm(tmp_path / "minilm")))
    texts = [fact.wordings()[0] for fact in facts]
    rows = np.concatenate([loaded.embed(texts[at : at + 256]) for at in range(0, count, 256)])
    index = build(np.arange(count), rows)
    asked = loaded.embed([fact.wordings()[1] for fact in facts[:: count // 400]])
    found = scanned = 0
    for vector in asked:
        found += index.search(vector, 1)[0][0] == int((rows @ vector).argmax())
        scanned += index.scanned

    assert found / len(asked) >= 0.98
    assert scanned / len(asked) <= 0.15 * count
