from __future__ import annotations

import json
from typing import TYPE_CHECKING

import numpy as np
import pytest
from click.testing import CliRunner

from recserve.cli import main
from shared.errors import BundleError
from shared.runtimes.embedder_bundle import EmbedderBundle
from shared.runtimes.onnx_embedder import OnnxEmbedder
from tests.support.embedders import write_encoder

if TYPE_CHECKING:
    from pathlib import Path

pytest.importorskip("torch")
pytest.importorskip("onnxscript")

TEXTS = ["good soup", "bad", "a very, very good film; the soup was not bad", "zzz", "what?"]


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_encoder(tmp_path_factory.mktemp("embed") / "source")


@pytest.fixture(scope="module")
def packed(source: Path) -> Path:
    out = source.parent / "packed"
    words = ("pack", "--task", "embed", str(source), str(out), "--name", "tiny")
    ran = CliRunner().invoke(main, [*words, "--licence", "MIT"])
    assert ran.exit_code == 0, ran.output
    return out


def test_a_packed_embedder_says_what_it_is_and_how_near_its_original(packed: Path) -> None:
    manifest = EmbedderBundle.open(packed).manifest

    assert (manifest.task, manifest.precision, manifest.dimensions) == ("embed", "int8", 32)
    assert (manifest.source, manifest.licence, manifest.pooling) == ("source", "MIT", "mean")
    assert manifest.fidelity is not None
    assert manifest.fidelity.mean > 0.98


def test_its_vectors_are_those_of_the_original(source: Path, packed: Path) -> None:
    from models.pack.encoder import SentenceEncoder  # noqa: PLC0415 - optional

    ours = OnnxEmbedder(str(packed)).embed(TEXTS)
    theirs = SentenceEncoder(str(source), None).embed(TEXTS)

    assert np.sum(ours * theirs, axis=1).min() > 0.95
    assert np.linalg.norm(ours, axis=1) == pytest.approx(1.0, abs=1e-5)


def test_flags_for_labels_mean_nothing_to_an_embedder(source: Path, tmp_path: Path) -> None:
    words = ("pack", "--task", "embed", str(source), str(tmp_path / "out"), "--name", "tiny")
    ran = CliRunner().invoke(main, [*words, "--label", "good"])

    assert ran.exit_code == 2
    assert "an embedder has no labels" in ran.output


def test_an_encoder_that_pools_otherwise_is_refused(source: Path, tmp_path: Path) -> None:
    from models.pack.embedding import pack_embedder  # noqa: PLC0415 - optional

    other = write_encoder(tmp_path / "other")
    (other / "1_Pooling").mkdir()
    pooling = {"pooling_mode_mean_tokens": False, "pooling_mode_cls_token": True}
    (other / "1_Pooling/config.json").write_text(json.dumps(pooling))

    with pytest.raises(BundleError, match="not the mean over its tokens"):
        pack_embedder(str(other), tmp_path / "out", name="other")
    assert not (tmp_path / "out").exists()
