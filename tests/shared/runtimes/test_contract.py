"""What every runtime promises, each on the same tiny model."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from shared.errors import ModelFailed, RuntimeUnavailable
from shared.messages import Scored
from shared.runtimes import Model, ModelSettings, digest_of, labels_of, load_model
from shared.tasks import Task
from shared.tasks.classify import Label, requests
from tests.support.tiny_models import LABELS, SURROGATE

if TYPE_CHECKING:
    from pathlib import Path

    from tests.shared.runtimes.conftest import Load

TEXTS = (
    "good soup",
    "bad",
    "a very, very good film; the soup was not bad",
    "",
    "not good!",
    "zzz",
    "films about soups",
    "what?",
)


def scored(model: Model, *texts: str) -> list[Scored]:
    entries = model.answer(requests(texts))
    assert all(isinstance(entry, Scored) for entry in entries)
    return [entry for entry in entries if isinstance(entry, Scored)]


def test_both_runtimes_say_the_same_of_the_same_model(classifier: Path, packed: Path) -> None:
    onnx = load_model(ModelSettings(source=str(packed)))
    torch = load_model(ModelSettings(source=str(classifier), runtime="transformers"))
    for ours, theirs in zip(scored(onnx, *TEXTS), scored(torch, *TEXTS), strict=True):
        assert ours.answer == theirs.answer
        assert ours.probabilities == pytest.approx(theirs.probabilities, abs=1e-5)
    assert len({entry.answer for entry in scored(onnx, *TEXTS)}) == 2, "the model must discern"


def test_it_says_what_it_is(load: Load) -> None:
    model = load()
    assert labels_of(model) == LABELS
    assert model.tasks == frozenset[Task]({"classify"})
    assert model.name


def test_a_bundle_is_known_by_its_digest_and_a_folder_of_transformers_by_none(
    classifier: Path, packed: Path
) -> None:
    bundle = ModelSettings(source=str(packed))
    folder = ModelSettings(source=str(classifier), runtime="transformers")
    assert load_model(bundle).digest == digest_of(bundle) != ""
    assert load_model(folder).digest == digest_of(folder) == ""


def test_the_confidence_is_the_largest_probability(load: Load) -> None:
    for entry in scored(load(), *TEXTS):
        assert 0.5 <= entry.confidence <= 1
        assert entry.confidence == max(entry.probabilities)
        assert sum(entry.probabilities) == pytest.approx(1)
        assert entry.answer == Label(LABELS[entry.probabilities.index(entry.confidence)])


def test_entries_come_in_the_order_of_their_texts(load: Load) -> None:
    model = load(batch_prompts=3)
    forwards, backwards = scored(model, *TEXTS), scored(model, *reversed(TEXTS))
    for one, other in zip(forwards, reversed(backwards), strict=True):
        assert one.probabilities == pytest.approx(other.probabilities, abs=1e-5)
    assert len({entry.probabilities for entry in forwards}) == len(TEXTS)


@pytest.mark.parametrize("batch_prompts", [2, 16])
def test_an_answer_does_not_depend_on_its_neighbours(load: Load, batch_prompts: int) -> None:
    model = load(batch_prompts=batch_prompts)
    alone = [scored(model, text)[0] for text in TEXTS]
    for one, other in zip(alone, scored(model, *TEXTS), strict=True):
        assert one.answer == other.answer
        assert one.probabilities == pytest.approx(other.probabilities, abs=1e-4)


def test_no_texts_give_no_entries(load: Load) -> None:
    assert load().answer(requests([])) == []


def test_a_long_text_is_read_to_the_limit_and_no_further(load: Load) -> None:
    model = load()
    start = "good soup " * 50
    long, longer = scored(model, start, start + "bad film " * 500)
    assert long.probabilities == pytest.approx(longer.probabilities, abs=1e-6)


def test_a_lower_limit_reads_less(load: Load) -> None:
    texts = ("good film bad soup good film", "good film bad soup good film not not not")
    first, second = scored(load(max_tokens=8), *texts)
    assert first.probabilities == pytest.approx(second.probabilities, abs=1e-6)
    first, second = scored(load(), *texts)
    assert first.probabilities != pytest.approx(second.probabilities, abs=1e-6)


def test_one_bad_text_leaves_its_neighbours_alone(load: Load) -> None:
    model = load()
    before, bad, after = model.answer(requests(["good soup", SURROGATE, "bad"]))
    assert isinstance(bad, ModelFailed)
    assert "tokenise" in str(bad)
    for entry, alone in zip((before, after), scored(model, "good soup", "bad"), strict=True):
        assert isinstance(entry, Scored)
        assert entry.answer == alone.answer
        assert entry.probabilities == pytest.approx(alone.probabilities, abs=1e-4)


def test_the_time_of_each_prompt_is_counted(load: Load) -> None:
    assert all(entry.elapsed_us > 0 for entry in scored(load(), *TEXTS))


def test_a_closed_model_answers_no_more(load: Load) -> None:
    model = load()
    model.close()
    with pytest.raises(RuntimeUnavailable, match="closed"):
        model.answer(requests(["good"]))
    model.close()
