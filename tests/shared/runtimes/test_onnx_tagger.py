from __future__ import annotations

import subprocess
import sys
from typing import TYPE_CHECKING

import msgspec
import pytest

from shared.errors import BundleError, ModelFailed, RuntimeUnavailable
from shared.messages import Scored
from shared.runtimes import Model, ModelSettings, load_model
from shared.runtimes.bundle import Bundle
from shared.tasks import Request
from shared.tasks.tag import Entities
from tests.support.tiny_models import LABELS, MAX_TOKENS, SURROGATE, write_bundle, write_tag_bundle

if TYPE_CHECKING:
    from pathlib import Path

pytest.importorskip("onnx")


@pytest.fixture
def bundle(tmp_path: Path) -> Bundle:
    return write_tag_bundle(tmp_path / "menu")


def load(bundle: Bundle, **settings: object) -> Model:
    keys: dict[str, object] = {"source": str(bundle.folder), **settings}
    return load_model(ModelSettings(**keys))  # type: ignore[arg-type] # any setting


def tag(model: Model, *texts: str) -> list[Scored]:
    entries = model.answer([Request("tag", text) for text in texts])
    assert all(isinstance(entry, Scored) for entry in entries), entries
    return [entry for entry in entries if isinstance(entry, Scored)]


def found(model: Model, text: str) -> list[str]:
    (entry,) = tag(model, text)
    assert isinstance(entry.answer, Entities)
    return [text[span.start : span.end] for span in entry.answer.spans]


def test_entities_stand_where_the_text_names_them(bundle: Bundle) -> None:
    model = load(bundle)
    assert model.tasks == {"tag"}
    assert found(model, "a soup, very good soup film; no") == ["soup", "good", "soup film"]


def test_a_text_without_an_entity_is_answered_with_none(bundle: Bundle) -> None:
    (entry,) = tag(load(bundle), "very bad")
    assert entry.answer == Entities(())
    assert 0.5 < entry.confidence < 1


def test_how_a_word_is_written_counts_where_the_bundle_says_so(
    bundle: Bundle, tmp_path: Path
) -> None:
    blind = load(write_tag_bundle(tmp_path / "blind", shapes=False))
    assert found(load(bundle), "Very bad, VERY bad") == ["Very"]
    assert found(blind, "Very bad, VERY bad") == []


def test_a_span_is_as_sure_as_its_words_and_the_answer_as_all_words(bundle: Bundle) -> None:
    (entry,) = tag(load(bundle), "very soup film")
    assert isinstance(entry.answer, Entities)
    (span,) = entry.answer.spans
    soup, film, very = (
        1 / (1 + 2.718281828**-2 + 2.718281828**-4),
        1 / (1 + 2.718281828**-4 + 2.718281828**-6),
        1 / (1 + 2 * 2.718281828**-2),
    )
    assert span.confidence == pytest.approx((soup + film) / 2, abs=1e-6)
    assert entry.confidence == pytest.approx((soup + film + very) / 3, abs=1e-6)
    assert entry.confidence_kind == "mean"


def test_a_bundle_may_go_by_its_least_sure_word(bundle: Bundle) -> None:
    manifest = msgspec.structs.replace(bundle.manifest, certainty="least")
    model = load(Bundle.write(bundle.folder, manifest))
    (entry,) = tag(model, "very soup film")
    assert entry.confidence == pytest.approx(1 / (1 + 2 * 2.718281828**-2), abs=1e-6)
    assert entry.confidence_kind == "least"


@pytest.mark.parametrize("batch_prompts", [1, 2, 16])
def test_texts_of_any_length_are_answered_in_their_order(
    bundle: Bundle, batch_prompts: int
) -> None:
    texts = ["soup", "", "a very, very good soup and no film", "bad", "Soup soup"] * 3
    model = load(bundle, batch_prompts=batch_prompts)
    alone = [tag(model, text)[0] for text in texts]
    for one, other in zip(tag(model, *texts), alone, strict=True):
        assert one.answer == other.answer
        assert one.confidence == pytest.approx(other.confidence)


def test_what_is_beyond_the_limit_is_not_tagged(bundle: Bundle) -> None:
    text = " ".join(["soup"] * (2 * MAX_TOKENS))
    assert len(found(load(bundle), text)) == MAX_TOKENS - 2, "but for the frame"


def test_a_text_that_cannot_be_read_or_is_no_tag_fails_alone(bundle: Bundle) -> None:
    requests = [Request("tag", "soup"), Request("tag", SURROGATE), Request("classify", "soup")]
    kinds = [type(entry) for entry in load(bundle).answer(requests)]
    assert kinds == [Scored, ModelFailed, ModelFailed]


def test_a_tagger_that_says_nothing_is_found_when_it_is_loaded(tmp_path: Path) -> None:
    with pytest.raises(BundleError, match=r"the model answers nothing: .*not finite"):
        load(write_tag_bundle(tmp_path / "nothing", bias=float("nan")))


def test_a_graph_of_the_other_task_is_refused(bundle: Bundle, tmp_path: Path) -> None:
    classifier = write_bundle(tmp_path / "bag")
    with pytest.raises(BundleError, match="not one for each prompt, token and label"):
        load(
            Bundle.write(
                classifier.folder, msgspec.structs.replace(classifier.manifest, task="tag")
            )
        )
    with pytest.raises(BundleError, match="not one for each prompt and label"):
        load(
            Bundle.write(
                bundle.folder,
                msgspec.structs.replace(bundle.manifest, task="classify", labels=(*LABELS, "x")),
            )
        )


def test_nobody_is_heard_beside_a_tagger(bundle: Bundle) -> None:
    with pytest.raises(BundleError, match="fused, but that is for classify and not for tag"):
        load(bundle, answer="fused")


def test_a_closed_tagger_says_so(bundle: Bundle) -> None:
    model = load(bundle)
    model.close()
    with pytest.raises(RuntimeUnavailable, match="closed"):
        tag(model, "soup")


def test_a_tagger_needs_no_torch(bundle: Bundle) -> None:
    program = (
        "import sys\n"
        "from shared.runtimes import ModelSettings, load_model\n"
        "from shared.tasks import Request, to_line\n"
        f"model = load_model(ModelSettings(source={str(bundle.folder)!r}))\n"
        "print(to_line(model.answer([Request('tag', 'good soup')])[0].answer))\n"
        "print(sorted({'torch', 'transformers', 'onnx'} & set(sys.modules)))\n"
    )
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", program], capture_output=True, text=True, check=True
    )
    assert done.stdout.splitlines() == ["MEAL 0–4, MEAL 5–9", "[]"]
