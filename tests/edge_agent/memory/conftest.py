"""One embedder for all that remembers."""

from __future__ import annotations

import pytest

from tests.support.embedders import write_encoder


@pytest.fixture(scope="session")
def embedder(tmp_path_factory: pytest.TempPathFactory) -> str:
    """The folder of a bundle, of random weights: the same words are the same vector."""
    pytest.importorskip("torch")
    pytest.importorskip("onnxscript")
    from models.pack.embedding import pack_embedder  # noqa: PLC0415 - optional

    place = tmp_path_factory.mktemp("embedder")
    source = write_encoder(place / "source")
    return str(pack_embedder(str(source), place / "out", name="tiny", quantise=False).folder)
