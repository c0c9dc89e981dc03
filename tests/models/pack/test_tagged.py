from __future__ import annotations

import io
from typing import TYPE_CHECKING

import pytest
from rich.console import Console

from models.pack import Bounds, HeadRequest, main, pack
from models.pack.tagged import read_tagged
from shared.errors import BundleError, DataError, SettingsError
from shared.messages import Scored
from shared.runtimes import ModelSettings, load_model
from shared.runtimes.text_manifest import TOKENIZER, WEIGHTS
from shared.tasks import Request
from shared.tasks.tag import Entities
from tests.support.tiny_models import MAX_TOKENS, TAGS, write_tag_bundle, write_tagger

if TYPE_CHECKING:
    from pathlib import Path

    from shared.runtimes.bundle import Bundle

pytest.importorskip("torch")
pytest.importorskip("onnxscript")

FILE = """Very A O
good A I-MEAL
soup N I-MEAL

Soup N I-MEAL
bad A O

not A O
"""
TEXTS = ("Good soup, bad film", "NOT good", "a very, very good film about Soups", "what?", "")


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_tagger(tmp_path_factory.mktemp("pack") / "source")


@pytest.fixture(scope="module")
def data(source: Path) -> Path:
    path = source.parent / "dev.conll"
    path.write_text(FILE)
    return path


@pytest.fixture(scope="module")
def packed(source: Path, data: Path) -> Bundle:
    return main(
        str(source),
        source.parent / "packed",
        name="menu",
        quantise=False,
        evaluate=[f"dev={data}"],
        evaluate_rows=2,
        samples=data,
        typical=[data],
        certainty="least",
        console=Console(quiet=True),
    )


def spans(model_settings: ModelSettings) -> list[tuple[tuple[str, int, int], ...]]:
    model = load_model(model_settings)
    entries = model.answer([Request("tag", text) for text in TEXTS])
    answers = [entry.answer for entry in entries if isinstance(entry, Scored)]
    assert len(answers) == len(TEXTS)
    return [tuple(s.place for s in a.spans) for a in answers if isinstance(a, Entities)]


def test_a_packed_tagger_finds_what_its_original_finds(source: Path, packed: Bundle) -> None:
    ours = spans(ModelSettings(source=str(packed.folder)))
    theirs = spans(ModelSettings(source=str(source), runtime="transformers"))
    assert ours == theirs
    assert any(ours), "it must discern"


def test_the_manifest_says_what_was_packed(packed: Bundle) -> None:
    manifest = packed.manifest
    assert (manifest.task, manifest.labels, manifest.max_tokens) == ("tag", TAGS, MAX_TOKENS)
    assert (manifest.certainty, manifest.shapes, manifest.truncation) == ("least", True, "right")
    assert set(manifest.files) == {WEIGHTS, TOKENIZER}
    assert manifest.quality == {}
    assert manifest.entities["dev"].rows == 2


def test_its_confidences_are_those_of_the_certainty_it_goes_by(packed: Bundle, data: Path) -> None:
    model = load_model(ModelSettings(source=str(packed.folder), batch_prompts=1))
    requests = [Request("tag", text) for text in read_tagged(f"x={data}").texts]
    found = sorted(e.confidence for e in model.answer(requests) if isinstance(e, Scored))
    known = packed.manifest.confidences["tag"]
    assert (known.prompts, known.of) == (3, (f"{data.parent.name}/dev.conll",))
    assert (known.quantiles[0], known.quantiles[-1]) == pytest.approx(
        (found[0], found[-1]), abs=1e-6
    )


def test_f1_is_measured_on_exact_places_and_types(tmp_path: Path, data: Path) -> None:
    bundle = write_tag_bundle(tmp_path / "menu")
    measured = read_tagged(f"dev={data}").measure(
        load_model(ModelSettings(source=str(bundle.folder)))
    )
    # "Very" begins a meal, "good" goes on with it, "soup" begins another; "Soup" alone is right.
    assert (measured.rows, measured.precision, measured.recall) == (3, 0.3333, 0.5)
    assert measured.f1 == 0.4


def test_a_quantised_tagger_is_held_against_its_original(source: Path) -> None:
    loose, strict = Bounds(int8_same_answer=0.5), Bounds(int8_same_answer=1.01)
    out = source.parent / "int8"
    with pytest.raises(BundleError, match=r"quantised model does not agree .*same answer"):
        pack(str(source), out, name="menu", bounds=strict)
    assert not out.exists()
    bundle = pack(str(source), out, name="menu", bounds=loose)
    assert bundle.manifest.precision == "int8"
    assert len(spans(ModelSettings(source=str(out)))) == len(TEXTS)


def test_what_it_says_of_a_tagger_is_its_f1(source: Path, data: Path) -> None:
    said = io.StringIO()
    main(
        str(source),
        source.parent / "told",
        name="menu",
        quantise=False,
        evaluate=[f"dev={data}"],
        console=Console(file=said, width=200),
    )
    assert "recall" in said.getvalue()
    assert "tag: median confidence" in said.getvalue()


def test_types_that_the_model_does_not_know_are_named(source: Path, tmp_path: Path) -> None:
    (tmp_path / "odd.conll").write_text("soup O\n\ngood I-MOOD\n")
    with pytest.raises(DataError, match=r"sentence 2 names a 'MOOD', but the model knows MEAL"):
        main(
            str(source),
            tmp_path / "out",
            name="menu",
            evaluate=[f"dev={tmp_path / 'odd.conll'}"],
            console=Console(quiet=True),
        )
    assert not (tmp_path / "out").exists()


def test_an_argument_that_names_no_file_is_refused() -> None:
    with pytest.raises(SettingsError, match="is not of the form set=path"):
        read_tagged("dev.conll")


def test_a_head_is_for_classifiers_alone(source: Path, tmp_path: Path) -> None:
    (tmp_path / "texts.tsv").write_text("text\n" + "".join(f"{n} soups\n" for n in range(600)))
    head = HeadRequest("anyone", (tmp_path / "texts.tsv",))
    with pytest.raises(BundleError, match="head is for a classifier alone"):
        pack(str(source), tmp_path / "out", name="menu", head=head)
