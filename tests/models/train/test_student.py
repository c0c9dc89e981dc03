"""Students cut from a larger model."""

# what needs torch is imported once it is known to be there

from __future__ import annotations

import pytest

pytest.importorskip("torch")
pytest.importorskip("transformers")

from typing import TYPE_CHECKING

import torch

from models.train.batches import encode
from models.train.data import Example
from models.train.errors import TrainingError
from models.train.fit import predict
from models.train.folder import save
from models.train.student import (
    Narrow,
    Student,
    cut,
    find_base,
    load_student,
    narrow,
    principal_components,
)
from models.train.vocabulary import Pruned, count_tokens, prune
from tests.support.tiny_training import tiny_student

if TYPE_CHECKING:
    from pathlib import Path

WITHIN = ["good film", "bad film", "a fine film", "goodness", "q"]


def logits(student: Student, texts: list[str]) -> torch.Tensor:
    encoded = encode(student.tokenizer, [Example(text, 0.5) for text in texts])
    return predict(student.model, encoded, "test")


def pruned_of(student: Student, size: int = 62) -> Pruned:
    counts = count_tokens(student.tokenizer, [(text, 1) for text in WITHIN])
    return prune(student.tokenizer, counts, size, 0x80)


def test_pruning_leaves_the_logits_of_texts_within_the_vocabulary_as_they_were() -> None:
    full = tiny_student()
    smaller = cut(full, pruned_of(full), layers=range(2), positions=8, seed=1)

    assert smaller.model.config.vocab_size == 62 < full.model.config.vocab_size
    torch.testing.assert_close(logits(smaller, WITHIN), logits(full, WITHIN))


def test_a_student_has_the_layers_it_was_told_to_take() -> None:
    full = tiny_student(layers=3)
    student = cut(full, pruned_of(full), layers=(0, 2), positions=8, seed=1).model

    taken, last = student.bert.encoder.layer, full.model.bert.encoder.layer[2]
    assert len(taken) == 2
    assert torch.equal(taken[1].output.dense.weight, last.output.dense.weight)


def test_a_student_cuts_texts_at_its_last_position() -> None:
    full = tiny_student()
    student = cut(full, pruned_of(full), layers=(0,), positions=8, seed=1)

    assert logits(student, ["film " * 50]).shape == (1, 2)


def test_a_narrow_student_takes_the_main_directions_of_the_embeddings() -> None:
    full = tiny_student()
    student = narrow(full, pruned_of(full), Narrow(8, 2, 16, 1), positions=8, seed=1)

    table = student.model.bert.embeddings.word_embeddings.weight
    assert table.shape == (62, 8)
    spread = table.detach().var(dim=0)
    assert bool((spread[:-1] >= spread[1:] - 1e-9).all())


def test_principal_components_keep_the_distances_of_flat_data() -> None:
    flat = torch.randn(20, 2, generator=torch.Generator().manual_seed(3)) @ torch.ones(2, 5)
    torch.testing.assert_close(torch.cdist(flat, flat), _distances(principal_components(flat, 2)))


def _distances(rows: torch.Tensor) -> torch.Tensor:
    return torch.cdist(rows, rows)


def test_labels_are_named_in_order() -> None:
    full = tiny_student()
    config = cut(full, pruned_of(full), layers=(0,), positions=8, seed=1).model.config

    assert config.id2label == {0: "negative", 1: "positive"}


def test_a_saved_student_answers_as_before(tmp_path: Path) -> None:
    full = tiny_student()
    student = cut(full, pruned_of(full), layers=(0,), positions=8, seed=1)
    save(student, tmp_path / "edge", {"seed": 1})

    torch.testing.assert_close(
        logits(load_student(tmp_path / "edge"), WITHIN), logits(student, WITHIN)
    )


def test_a_folder_without_a_model_is_named(tmp_path: Path) -> None:
    with pytest.raises(TrainingError, match=str(tmp_path)):
        load_student(tmp_path)
    with pytest.raises(TrainingError, match=str(tmp_path)):
        find_base(tmp_path)
