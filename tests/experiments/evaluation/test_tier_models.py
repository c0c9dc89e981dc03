from __future__ import annotations

import hashlib
import shutil
from typing import TYPE_CHECKING, Any

import msgspec
import pytest

from experiments.evaluation.tier_models import read_facts
from shared.errors import BundleError
from shared.runtimes import ModelSettings
from shared.runtimes.bundle import Bundle

if TYPE_CHECKING:
    from pathlib import Path

    from experiments.evaluation.tier_models import TierModel


def test_a_copied_bundle_has_the_same_fingerprint(
    tiers: tuple[TierModel, ...], tmp_path: Path
) -> None:
    model = tiers[0].model
    copied = shutil.copytree(model.source, tmp_path / "copied")

    assert read_facts(ModelSettings(source=str(copied))) == read_facts(model)._replace(
        settings=ModelSettings(source=str(copied), answer="model")
    )


def test_other_weights_have_another_fingerprint(
    tiers: tuple[TierModel, ...], tmp_path: Path
) -> None:
    model = tiers[0].model
    folder = shutil.copytree(model.source, tmp_path / "altered")
    with (folder / "model.onnx").open("ab") as weights:
        weights.write(b"\0")
    Bundle.write(folder, Bundle.open(model.source).manifest)

    assert (
        read_facts(ModelSettings(source=str(folder))).fingerprint != read_facts(model).fingerprint
    )


def test_reading_fewer_tokens_has_another_fingerprint(tiers: tuple[TierModel, ...]) -> None:
    model = tiers[0].model
    shorter = msgspec.structs.replace(model, max_tokens=8)

    assert read_facts(shorter).fingerprint != read_facts(model).fingerprint
    assert read_facts(shorter).max_tokens == 8
    assert read_facts(model).max_tokens == 24


def test_int8_weights_are_run_prompt_by_prompt(
    tiers: tuple[TierModel, ...], tmp_path: Path
) -> None:
    folder = shutil.copytree(tiers[0].model.source, tmp_path / "int8")
    manifest = Bundle.open(folder).manifest
    Bundle.write(folder, msgspec.structs.replace(manifest, precision="int8"))

    assert read_facts(ModelSettings(source=str(folder))).settings.batch_prompts == 1
    assert read_facts(tiers[0].model).settings.batch_prompts == 16


def test_whose_answers_are_given_moves_no_kept_answer(tiers: tuple[TierModel, ...]) -> None:
    model = tiers[0].model
    own = msgspec.structs.replace(model, answer="model")

    assert read_facts(own).fingerprint == read_facts(model).fingerprint


def test_a_fingerprint_is_that_of_before_answers_could_be_fused(
    tiers: tuple[TierModel, ...],
) -> None:
    settings = msgspec.to_builtins(msgspec.structs.replace(tiers[0].model, source="-"))
    del settings["answer"]
    files = Bundle.open(tiers[0].model.source).manifest.files
    hashed = msgspec.json.encode(settings, order="sorted") + msgspec.json.encode(
        files, order="sorted"
    )

    assert read_facts(tiers[0].model).fingerprint == hashlib.sha256(hashed).hexdigest()


def test_a_model_folder_is_known_by_its_files_and_its_labels(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text('{"id2label": {"0": "no", "1": "yes"}}')
    (tmp_path / "model.safetensors").write_bytes(b"weights")
    settings = ModelSettings(source=str(tmp_path), runtime="transformers")
    before = read_facts(settings)
    (tmp_path / "model.safetensors").write_bytes(b"Weights")

    assert before.labels == ("no", "yes")
    assert read_facts(settings).fingerprint != before.fingerprint


def test_a_model_that_is_only_named_is_refused() -> None:
    with pytest.raises(BundleError, match="some/model: is no model folder"):
        read_facts(ModelSettings(source="some/model", runtime="transformers"))


def test_a_model_behind_a_server_is_known_by_its_name_and_where_that_is() -> None:
    server = ModelSettings(
        source="http://127.0.0.1:1/v1", runtime="openai", model="m", labels=("no", "yes")
    )
    same = {"key_env": "KEY", "in_flight": 64, "source": "http://127.0.0.1:1/v1/"}
    other = ({"model": "n"}, {"source": "http://127.0.0.1:2/v1"}, {"instruction": "Be kind."})

    def fingerprint(**changes: Any) -> str:
        return read_facts(msgspec.structs.replace(server, **changes)).fingerprint

    assert read_facts(server).labels == ("no", "yes")
    assert fingerprint(**same) == fingerprint()
    assert len({fingerprint(), *(fingerprint(**changes) for changes in other)}) == 4
    with pytest.raises(BundleError, match=r"no labels of its own; set model\.labels"):
        fingerprint(labels=())
