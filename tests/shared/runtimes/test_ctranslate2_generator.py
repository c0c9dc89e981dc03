"""Texts by CTranslate2, held against ``generate`` of transformers on tiny real models."""

from __future__ import annotations

import subprocess
import sys
from typing import TYPE_CHECKING, Any

import pytest
from rich.console import Console

from shared.errors import BundleError, InvalidPrompt, ModelFailed, RuntimeUnavailable, SettingsError
from shared.messages import Scored
from shared.runtimes import ModelSettings, digest_of, load_model
from shared.runtimes.model import Generator
from shared.tasks import Request
from tests.support.tiny_writers import PLACES, write_writer
from tests.support.writer_references import WriterReference
from tests.support.writing_checks import (
    LENGTHS,
    TEXTS,
    ask,
    check_choosing,
    check_same,
    check_writing,
    said,
)

if TYPE_CHECKING:
    from pathlib import Path

    from shared.runtimes import Model
    from shared.runtimes.bundle import Bundle
    from shared.runtimes.model import Entry

pytest.importorskip("torch")
pytest.importorskip("ctranslate2")
KINDS = ("t5", "m2m_100")


def pack(source: Path, out: Path, **more: Any) -> Bundle:
    from models.pack.generator import GeneratorRequest  # noqa: PLC0415 - optional
    from models.pack.translator import pack_translator  # noqa: PLC0415 - optional

    given = {"precision": "float32", "prompts": TEXTS[:2], **more}
    request = GeneratorRequest(source=str(source), out=out, name="tiny", **given)
    return pack_translator(request, Console(quiet=True))


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    place = tmp_path_factory.mktemp("packed")
    for kind in KINDS:
        pack(write_writer(place / kind / "original", kind), place / kind / "bundle")
    return {kind: place / kind for kind in KINDS}


def load(folder: Path, **settings: Any) -> Model:
    return load_model(ModelSettings(source=str(folder), runtime="ctranslate2", **settings))


@pytest.fixture(scope="module")
def models(folders: dict[str, Path]) -> dict[str, Model]:
    return {kind: load(folders[kind] / "bundle") for kind in KINDS}


@pytest.mark.parametrize("kind", KINDS)
def test_it_writes_what_the_original_writes_and_is_as_sure_as_a_second_pass(
    folders: dict[str, Path], models: dict[str, Model], kind: str
) -> None:
    check_writing(WriterReference(folders[kind] / "original"), models[kind], 1e-4)


@pytest.mark.parametrize("kind", KINDS)
def test_whoever_joins_late_changes_nobodys_answer(models: dict[str, Model], kind: str) -> None:
    model = models[kind]
    assert isinstance(model, Generator)
    alone = [model.answer([request])[0] for request in LENGTHS]
    running = {number: model.begin(request) for number, request in enumerate(LENGTHS[:2])}
    ended: dict[int, Entry] = {}
    waiting = list(enumerate(LENGTHS))[2:]
    while running:
        for number, entry in zip(list(running), model.step(list(running.values())), strict=True):
            if entry is not None:
                ended[number] = entry
                running.pop(number).close()
        if waiting:
            number, request = waiting.pop(0)
            running[number] = model.begin(request)
    check_same(alone, ended)


def test_labels_are_scored_as_the_models_answer(
    folders: dict[str, Path], models: dict[str, Model]
) -> None:
    check_choosing(WriterReference(folders["t5"] / "original"), models["t5"], 1e-4)


def test_a_stop_string_ends_a_text(models: dict[str, Model]) -> None:
    wholes = {text: said(ask(models["t5"], text, max_new_tokens=30)).text for text in TEXTS}
    text, whole = max(wholes.items(), key=lambda pair: len(pair[1]))
    stop = whole[2:4]
    answer = said(ask(models["t5"], text, max_new_tokens=30, stop=[stop]))
    assert (answer.text, answer.finish) == (whole[: whole.index(stop)], "stop")


def test_a_text_that_is_drawn_is_another_now_and_then(models: dict[str, Model]) -> None:
    options = {"temperature": 2.0, "top_p": 0.99, "max_new_tokens": 20}
    texts = {said(ask(models["t5"], "why", **options)).text for _ in range(5)}
    assert len(texts) > 1


def test_what_does_not_fit_is_cut_and_the_asker_is_told(models: dict[str, Model]) -> None:
    answer = said(ask(models["t5"], "so long " * 400, max_new_tokens=10))
    assert answer.prompt_cut
    assert PLACES - 10 < answer.tokens_in <= PLACES


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"max_new_tokens": PLACES}, "max_new_tokens"),
        ({"regex": "a+"}, "ctranslate2 cannot see to them"),
        ({"temperature": 1.0, "seed": 1}, "seed"),
        ({"system": "Be brief."}, "no chat template"),
        ({"top_k": 3}, "top_k"),
    ],
)
def test_what_cannot_be_had_is_refused_and_leaves_the_neighbours_alone(
    models: dict[str, Model], options: dict[str, Any], words: str
) -> None:
    good = Request("generate", "x", {"max_new_tokens": 2})
    first, second, third = models["t5"].answer([good, Request("generate", "x", options), good])
    assert isinstance(second, InvalidPrompt)
    assert words in str(second)
    assert said(first) == said(third)


def test_a_text_that_was_given_up_ends_and_frees_the_engine(models: dict[str, Model]) -> None:
    model = models["t5"]
    assert isinstance(model, Generator)
    lost = model.begin(Request("generate", TEXTS[0], {"max_new_tokens": PLACES - 1}))
    model.step([lost])
    lost.close()
    assert isinstance(ask(model, "x", max_new_tokens=2), Scored)
    assert lost.written < PLACES - 1


def test_an_engine_that_fails_fails_its_texts_alone(
    models: dict[str, Model], monkeypatch: pytest.MonkeyPatch
) -> None:
    model: Any = models["t5"]
    text = model.begin(Request("generate", "x", {"max_new_tokens": 2}))
    text.read = [-1]  # no token that the engine could be given
    (entry,) = model.step([text])
    assert isinstance(entry, ModelFailed)
    assert isinstance(ask(model, "x", max_new_tokens=2), Scored)


def test_a_bundle_is_known_by_its_digest_and_its_engine(folders: dict[str, Path]) -> None:
    folder = folders["t5"] / "bundle"
    settings = ModelSettings(source=str(folder), runtime="ctranslate2")
    assert load(folder).digest == digest_of(settings) != ""
    assert load(folder, instruction="Translate.").digest != digest_of(settings)
    with pytest.raises(BundleError, match=r"set model\.runtime to ctranslate2"):
        load_model(ModelSettings(source=str(folder)))
    with pytest.raises(SettingsError, match=r"model\.answer has no meaning"):
        load(folder, answer="fused")


def test_a_closed_model_says_so(folders: dict[str, Path]) -> None:
    closed = load(folders["t5"] / "bundle")
    closed.close()
    with pytest.raises(RuntimeUnavailable, match="closed"):
        closed.answer([Request("generate", "x")])


_LET_GO = """
import sys
from shared.runtimes import ModelSettings, load_model
from shared.tasks import Request

for _ in range(20):
    model = load_model(ModelSettings(source=sys.argv[1], runtime="ctranslate2"))
    text = model.begin(Request("generate", "the valve sticks", {"max_new_tokens": 100}))
    model.step([text])
    del model, text
print("whole")
"""


def test_a_model_that_is_let_go_of_in_the_middle_of_a_text_takes_nothing_down_with_it(
    folders: dict[str, Path],
) -> None:
    command = [sys.executable, "-c", _LET_GO, str(folders["t5"] / "bundle")]
    ended = subprocess.run(command, capture_output=True, text=True, check=False, timeout=100)
    assert (ended.returncode, ended.stdout) == (0, "whole\n"), ended.stderr


def test_a_bundle_says_how_near_it_is_to_its_original(folders: dict[str, Path]) -> None:
    from shared.runtimes.bundle import Bundle  # noqa: PLC0415 - optional

    manifest = Bundle.open(folders["t5"] / "bundle").manifest
    assert manifest.conversion is not None
    assert manifest.conversion.token_agreement > 0.99
    assert manifest.conversion.log_probability_distance < 0.01
    assert manifest.conversion.tokens_s > 0
    assert manifest.confidences["generate"].prompts == 2


def test_int8_is_packed_and_int4_is_refused(folders: dict[str, Path], tmp_path: Path) -> None:
    from models.pack.generator import Tolerance  # noqa: PLC0415 - optional

    source = folders["t5"] / "original"
    packed = pack(source, tmp_path / "int8", precision="int8", allowed=Tolerance(0.5, 1.0))
    small = (packed.folder / "model.bin").stat().st_size
    assert small < (folders["t5"] / "bundle" / "model.bin").stat().st_size / 2
    assert isinstance(ask(load(packed.folder), "x", max_new_tokens=3), Scored)
    with pytest.raises(BundleError, match="int8 or float32"):
        pack(source, tmp_path / "int4", precision="int4")
    assert not (tmp_path / "int4").exists()


def test_what_is_too_far_from_its_original_is_not_written(
    folders: dict[str, Path], tmp_path: Path
) -> None:
    from models.pack.generator import Tolerance  # noqa: PLC0415 - optional

    with pytest.raises(BundleError, match="not its original any more"):
        pack(folders["t5"] / "original", tmp_path / "far", allowed=Tolerance(1.0, 0.0))
    assert not (tmp_path / "far").exists()
