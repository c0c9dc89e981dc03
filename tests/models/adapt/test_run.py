"""An adaptation that is broken off makes the same steps as a whole one; one that diverges ends."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, Any

import pytest

pytest.importorskip("torch")
pytest.importorskip("peft")

import torch

from models.adapt.recipe import AdaptRecipe, AdaptRow, AdaptRows
from models.adapt.run import adapt
from models.train.errors import TrainingError
from shared.tasks import Exemplar
from tests.support.tiny_generators import write_language_model
from tests.support.tiny_models import write_classifier

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.filterwarnings("ignore::FutureWarning")
TEXTS = AdaptRows(
    task="generate",
    new=[AdaptRow(f"the valve {number}", f"leaks {number}") for number in range(6)],
    old=[AdaptRow(f"the pump {number}", "is dry") for number in range(3)],
)
LABELS = AdaptRows(
    task="classify",
    new=[AdaptRow("good film", "positive"), AdaptRow("bad soup", "negative")],
    old=[],
)


@pytest.fixture(scope="module")
def writer(tmp_path_factory: pytest.TempPathFactory) -> str:
    return str(write_language_model(tmp_path_factory.mktemp("writer")))


def recipe(**changes: Any) -> AdaptRecipe:
    fields: dict[str, Any] = {"steps": 12, "rank": 4, "new_rows": 4, "old_rows": 2}
    return AdaptRecipe(**fields | {"checkpoint_steps": 4} | changes)


def weights(adapter: Path) -> dict[str, torch.Tensor]:
    from safetensors.torch import load_file  # noqa: PLC0415 - optional

    loaded: dict[str, torch.Tensor] = load_file(adapter / "adapter_model.safetensors")
    return loaded


class TornRows(list[AdaptRow]):
    """Rows whose reader is ended after so many."""

    left = 30

    def __getitem__(self, place: Any) -> Any:
        self.left -= 1
        if not self.left:
            raise KeyboardInterrupt
        return super().__getitem__(place)


def test_what_is_broken_off_goes_on_exactly(writer: str, tmp_path: Path) -> None:
    for name in ("whole", "broken"):
        (tmp_path / name).mkdir()
    whole = adapt(writer, TEXTS, recipe(), tmp_path / "whole")
    torn = AdaptRows(task="generate", new=TornRows(TEXTS.new), old=TEXTS.old)
    with pytest.raises(KeyboardInterrupt):
        adapt(writer, torn, recipe(), tmp_path / "broken")
    assert (tmp_path / "broken" / "checkpoint.pt").exists()
    again = adapt(writer, TEXTS, recipe(), tmp_path / "broken")

    assert again.losses == whole.losses
    old, new = weights(whole.adapter), weights(again.adapter)
    assert all(torch.equal(old[key], new[key]) for key in old)


def test_rows_with_an_example_are_learned_beside_the_others(writer: str, tmp_path: Path) -> None:
    rows = dataclasses.replace(
        TEXTS, shown=[AdaptRow("it leaks", "twice", (Exemplar("does it leak?", "twice"),))]
    )
    for name in ("with", "without"):
        (tmp_path / name).mkdir()
    shown = adapt(writer, rows, recipe(shown_rows=2), tmp_path / "with")
    plain = adapt(writer, rows, recipe(), tmp_path / "without")

    assert len(shown.losses) == len(plain.losses)
    assert shown.losses[0] != plain.losses[0]


def test_a_loss_that_is_no_number_ends_it_in_one_sentence(writer: str, tmp_path: Path) -> None:
    with pytest.raises(TrainingError, match=r"diverged: its loss is nan at step \d+; lower memory"):
        adapt(writer, TEXTS, recipe(learning_rate=float("inf")), tmp_path)


def test_the_next_one_goes_on_from_an_adapter(writer: str, tmp_path: Path) -> None:
    for name in ("first", "second"):
        (tmp_path / name).mkdir()
    first = adapt(writer, TEXTS, recipe(steps=40, learning_rate=1e-2), tmp_path / "first")
    second = adapt(writer, TEXTS, recipe(), tmp_path / "second", warm=first.adapter)

    assert second.losses[0] < first.losses[0]
    assert {key: each.shape for key, each in weights(first.adapter).items()} == {
        key: each.shape for key, each in weights(second.adapter).items()
    }


def test_a_classifier_learns_its_labels_and_no_others(tmp_path: Path) -> None:
    source = str(write_classifier(tmp_path / "source", labels=("negative", "positive")))
    (tmp_path / "night").mkdir()
    done = adapt(source, LABELS, recipe(steps=40, learning_rate=1e-2), tmp_path / "night")
    foreign = AdaptRows(task="classify", new=[AdaptRow("good", "joyful")], old=[])

    assert done.losses[-1] < done.losses[0]
    with pytest.raises(TrainingError, match="has no label 'joyful'; its labels are negative, posi"):
        adapt(source, foreign, recipe(), tmp_path / "other")


def test_a_text_longer_than_the_base_reads_is_cut(tmp_path: Path) -> None:
    source = str(write_classifier(tmp_path / "source", labels=("negative", "positive")))
    (tmp_path / "night").mkdir()
    long = [AdaptRow("good film " * 40, "positive"), AdaptRow("bad soup " * 40, "negative")]
    rows = AdaptRows(task="classify", new=long, old=[])

    assert len(adapt(source, rows, recipe(steps=2), tmp_path / "night").losses) == 2
