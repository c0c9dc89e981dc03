"""One embedder for all that remembers."""

from __future__ import annotations

import pytest

from tests.support.embedders import write_embedder


@pytest.fixture(scope="session")
def embedder(tmp_path_factory: pytest.TempPathFactory) -> str:
    """The folder of a bundle of random directions: the same words are the same vector."""
    pytest.importorskip("onnx")
    return str(write_embedder(tmp_path_factory.mktemp("embedder") / "words"))
