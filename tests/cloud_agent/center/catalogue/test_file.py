"""The file of measured models keeps what was measured elsewhere, and becomes a catalogue."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import msgspec
import pytest

from cloud_agent.center.catalogue.file import (
    CatalogueFile,
    MeasuredGrade,
    MeasuredModel,
    MeasuredOn,
    log_slowdown,
    node_class_of,
    read_catalogue,
    to_catalogue,
    write_catalogue,
)
from shared.errors import DataError

if TYPE_CHECKING:
    from pathlib import Path


def on(prompt_s: float = 0.01, *, token_s: float | None = None) -> MeasuredOn:
    return MeasuredOn(
        measured="2026-01-01T00:00:00+00:00",
        machine="aarch64",
        cores=4,
        threads=1,
        load_s=0.5,
        memory_bytes=5e7,
        prompt_s=prompt_s,
        token_s=token_s,
    )


def model(name: str = "remarks", digest: str = "a" * 64, **given: object) -> MeasuredModel:
    fields = {
        "grades": {"label": MeasuredGrade(0.8, 500, "dev.tsv")},
        "on": {"pi": on()},
        **given,
    }
    return MeasuredModel(
        name=name,
        version="1",
        digest=digest,
        task="classify",
        size_bytes=1e6,
        **fields,  # type: ignore[arg-type]
    )


def test_what_is_written_is_read_again(tmp_path: Path) -> None:
    file = CatalogueFile().with_model(model())
    write_catalogue(tmp_path / "catalogue.json", file)
    assert read_catalogue(tmp_path / "catalogue.json") == file


def test_a_model_measured_on_another_node_keeps_what_was_measured_before() -> None:
    file = CatalogueFile().with_model(model()).with_model(model(on={"server": on(0.001)}))
    [kept] = file.models
    assert set(kept.on) == {"pi", "server"}
    assert file.classes() == ("pi", "server")
    assert file.find("a" * 64) == kept
    assert file.find("b" * 64) is None


def test_another_version_of_a_bundle_stands_beside_the_first() -> None:
    file = CatalogueFile().with_model(model()).with_model(model(digest="b" * 64))
    assert len(file.models) == 2


def test_models_become_cards_by_their_digests() -> None:
    writer = model("writer", "b" * 64, on={"pi": on(2.0, token_s=0.04)})
    file = CatalogueFile().with_model(model()).with_model(writer)
    catalogue = to_catalogue(file, "pi", {"label": 1.0, "emotion": 24.0})
    classifier = catalogue["a" * 64]
    assert (classifier.token_s, classifier.load_s, classifier.memory_bytes) == (0.01, 0.5, 5e7)
    assert catalogue["b" * 64].token_s == 0.04
    assert classifier.quality == {"label": 0.8, "emotion": 0.8}


def test_a_class_that_nothing_was_measured_on_is_named_with_those_that_are() -> None:
    file = CatalogueFile().with_model(model())
    with pytest.raises(DataError, match=r"'jetson' and graded for label.*: pi"):
        to_catalogue(file, "jetson", {"label": 1.0})
    with pytest.raises(DataError, match="graded for summary"):
        to_catalogue(file, "pi", {"summary": 128.0})


def test_how_much_slower_a_class_is_comes_from_what_was_measured_on_both() -> None:
    file = CatalogueFile()
    for digest, pi_s, server_s in (("a" * 64, 0.04, 0.01), ("b" * 64, 0.01, 0.01)):
        file = file.with_model(model(digest=digest, on={"pi": on(pi_s), "server": on(server_s)}))
    assert log_slowdown(file, "pi", "server") == pytest.approx(math.log(2.0))
    assert log_slowdown(file, "jetson", "server") == 0.0


def test_a_file_that_is_none_is_named(tmp_path: Path) -> None:
    wrong = tmp_path / "measured.json"
    with pytest.raises(DataError, match="recserve models measure"):
        read_catalogue(wrong)
    wrong.write_bytes(msgspec.json.encode({"format": 1, "models": [{"name": "x"}]}))
    with pytest.raises(DataError, match="is no file of"):
        read_catalogue(wrong)


def test_a_class_is_called_by_its_machine() -> None:
    assert node_class_of("aarch64", 4) == "aarch64-4"
    assert node_class_of("", 2) == "unknown-2"
