from __future__ import annotations

import shutil
from typing import TYPE_CHECKING

import numpy as np
import pytest

from shared.errors import BundleError
from shared.runtimes.onnx_embedder import OnnxEmbedder
from tests.support.embedders import write_encoder

if TYPE_CHECKING:
    from pathlib import Path

pytest.importorskip("torch")
pytest.importorskip("onnxscript")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    from models.pack.embedding import pack_embedder  # noqa: PLC0415 - optional

    place = tmp_path_factory.mktemp("embedder")
    source = write_encoder(place / "source")
    return pack_embedder(str(source), place / "out", name="tiny", quantise=False).folder


def test_a_text_has_the_same_vector_alone_and_among_many(folder: Path) -> None:
    texts = [f"good soup {'very ' * (number % 17)}film" for number in range(100)]
    embedder = OnnxEmbedder(str(folder))
    together = embedder.embed(texts)
    alone = np.concatenate([embedder.embed([text]) for text in texts])

    assert together.shape == (100, 32)
    assert together == pytest.approx(alone, abs=1e-5)


def test_no_texts_are_no_vectors(folder: Path) -> None:
    assert OnnxEmbedder(str(folder)).embed([]).shape == (0, 32)


def test_a_changed_file_is_found_before_it_is_loaded(folder: Path, tmp_path: Path) -> None:
    changed = shutil.copytree(folder, tmp_path / "changed")
    with (changed / "model.onnx").open("ab") as weights:
        weights.write(b"\0")

    with pytest.raises(BundleError, match=r"model\.onnx: the file is not the one"):
        OnnxEmbedder(str(changed))
