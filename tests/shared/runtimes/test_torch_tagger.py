from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from shared.errors import BundleError, ModelFailed, RuntimeUnavailable
from shared.messages import Scored
from shared.runtimes import Model, ModelSettings, load_model
from shared.tasks import Request
from shared.tasks.tag import Entities
from tests.support.tiny_models import MAX_TOKENS, SURROGATE, write_tagger

if TYPE_CHECKING:
    from pathlib import Path

pytest.importorskip("torch")

TEXTS = ("Good soup, bad film", "", "NOT good", "a very, very good film about Soups", "what?")


@pytest.fixture(scope="module")
def tagger(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_tagger(tmp_path_factory.mktemp("torch") / "tagger")


def load(source: Path, **settings: object) -> Model:
    keys: dict[str, object] = {"source": str(source), "runtime": "transformers", **settings}
    return load_model(ModelSettings(**keys))  # type: ignore[arg-type] # any setting


def tag(model: Model, *texts: str) -> list[Scored]:
    entries = model.answer([Request("tag", text) for text in texts])
    assert all(isinstance(entry, Scored) for entry in entries), entries
    return [entry for entry in entries if isinstance(entry, Scored)]


def test_a_model_that_was_trained_to_tag_is_served_as_one(
    tagger: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    model = load(tagger)
    assert model.tasks == {"tag"}
    for text, entry in zip(TEXTS, tag(model, *TEXTS), strict=True):
        assert isinstance(entry.answer, Entities)
        for span in entry.answer.spans:
            assert span.type == "MEAL"
            assert text[span.start : span.end].strip(" ,") == text[span.start : span.end]
    assert any(entry.answer != Entities(()) for entry in tag(model, *TEXTS)), "it must discern"
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize("batch_prompts", [1, 3])
def test_texts_together_are_answered_as_alone(tagger: Path, batch_prompts: int) -> None:
    model = load(tagger, batch_prompts=batch_prompts)
    for text, entry in zip(TEXTS, tag(model, *TEXTS), strict=True):
        (alone,) = tag(model, text)
        assert isinstance(entry.answer, Entities)
        assert isinstance(alone.answer, Entities)
        assert [s.place for s in entry.answer.spans] == [s.place for s in alone.answer.spans]
        assert entry.confidence == pytest.approx(alone.confidence, abs=1e-5)


def test_how_words_are_written_is_told_to_models_that_ask_for_it(
    tagger: Path, tmp_path: Path
) -> None:
    told, blind = load(tagger), load(write_tagger(tmp_path / "blind", shapes=False))
    lower, upper = tag(told, "good soup", "GOOD Soup")
    assert lower.confidence != pytest.approx(upper.confidence, abs=1e-6)
    lower, upper = tag(blind, "good soup", "GOOD Soup")
    assert lower.confidence == upper.confidence


def test_a_model_without_a_vector_for_each_way_of_writing_is_refused(tmp_path: Path) -> None:
    folder = write_tagger(tmp_path / "odd", shapes=False)
    path = folder / "config.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"word_shapes": True}))
    with pytest.raises(BundleError, match=r"word_shapes, and then type_vocab_size is 5"):
        load(folder)


def test_what_is_beyond_the_limit_is_not_tagged(tagger: Path) -> None:
    (entry,) = tag(load(tagger), "Soup " * (2 * MAX_TOKENS))
    assert isinstance(entry.answer, Entities)
    assert all(span.end <= 5 * (MAX_TOKENS - 2) for span in entry.answer.spans)


def test_a_text_that_cannot_be_read_or_is_no_tag_fails_alone(tagger: Path) -> None:
    requests = [Request("tag", "soup"), Request("tag", SURROGATE), Request("classify", "soup")]
    kinds = [type(entry) for entry in load(tagger).answer(requests)]
    assert kinds == [Scored, ModelFailed, ModelFailed]


def test_a_closed_tagger_says_so(tagger: Path) -> None:
    model = load(tagger)
    model.close()
    with pytest.raises(RuntimeUnavailable, match="closed"):
        tag(model, "soup")
