from __future__ import annotations

import io
import random
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
import pytest
from click.testing import CliRunner
from rich.console import Console

from models.pack.adding import (
    HeadRequest,
    read_head_texts,
    refit_head,
    write_head,
)
from models.pack.expert import FittedTable
from models.pack.head import FittedFusion, FittedHead
from models.pack.head_gain import Figure, FusionGain, HeadGain
from models.pack.teacher import load_teacher
from recserve.commands.pack import command
from shared.errors import BundleError, DataError
from shared.messages import Scored
from shared.runtimes import ModelSettings, load_model
from shared.runtimes.bundle import Bundle
from shared.runtimes.bundle_files import MANIFEST
from shared.runtimes.head_manifest import TABLE
from shared.tasks.classify import requests
from tests.support.tiny_models import LABELS, write_bundle

if TYPE_CHECKING:
    from pathlib import Path

pytest.importorskip("onnx")

QUIET = Console(quiet=True)
LARGER = {"bad": (0, 2.0), "good": (1, 2.0), "soup": (0, 5.0)}
"""A teacher that cannot stand soup, which its student knows nothing of."""


@pytest.fixture
def student(tmp_path: Path) -> Bundle:
    return write_bundle(tmp_path / "student", name="student")


@pytest.fixture
def teacher(tmp_path: Path) -> Bundle:
    return write_bundle(tmp_path / "teacher", name="teacher", words=LARGER)


@pytest.fixture
def texts(tmp_path: Path) -> Path:
    path = tmp_path / "texts.tsv"
    path.write_text("text\n" + "\n".join(texts_of(700)) + "\n")
    return path


def texts_of(count: int) -> list[str]:
    """Texts of a few words each, all different."""
    draw = random.Random(0)
    words = ("good", "bad", "very", "not", "film", "soup")
    rows = {" ".join(draw.choices(words, k=draw.randint(1, 9))) for _ in range(1_200)}
    return sorted(rows)[:count]


def asking(teacher: Bundle, texts: Path, *labelled: Path) -> HeadRequest:
    return HeadRequest(str(teacher.folder), (texts,), labelled, slots=1 << 9)


def scored(folder: Path, text: str) -> Scored:
    model = load_model(ModelSettings(source=str(folder)))
    (entry,) = model.answer(requests([text]))
    model.close()
    assert isinstance(entry, Scored)
    return entry


def test_a_bundle_gets_a_head_and_stays_the_model_that_it_was(
    student: Bundle, teacher: Bundle, texts: Path
) -> None:
    before = scored(student.folder, "good soup")

    headed = refit_head(student.folder, asking(teacher, texts), QUIET)

    after = scored(student.folder, "good soup")
    assert (after.answer, after.probabilities) == (before.answer, before.probabilities)
    assert after.confidence < scored(student.folder, "good film").confidence - 0.05
    head = headed.manifest.head
    assert head is not None
    assert (head.teacher, head.texts, head.labels) == ("teacher", 700, LABELS)
    assert head.held_out is not None
    assert head.held_out.auroc[1] > head.held_out.auroc_max_probability[0]
    assert headed.manifest.confidences["classify"].of == (f"{texts.parent.name}/texts.tsv",)
    assert Bundle.open(student.folder) == headed
    assert sorted(path.name for path in student.folder.parent.iterdir()) == [
        "student",
        "teacher",
        "texts.tsv",
    ]


def test_a_head_is_fitted_again_over_the_one_that_was_there(
    student: Bundle, teacher: Bundle, texts: Path
) -> None:
    request = asking(teacher, texts)
    first = refit_head(student.folder, request, QUIET)
    table = (student.folder / TABLE).read_bytes()

    second = refit_head(student.folder, request, QUIET)

    assert second == first
    assert (student.folder / TABLE).read_bytes() == table


def test_what_fusing_would_bring_is_said_and_served_where_it_is_wanted(
    student: Bundle, teacher: Bundle, texts: Path
) -> None:
    own = scored(student.folder, "good soup")
    said = Console(file=io.StringIO(), width=200)

    able = refit_head(student.folder, asking(teacher, texts), said)

    assert isinstance(said.file, io.StringIO)
    assert "fused with the expert (weight" in said.file.getvalue()
    assert "--answer fused packs them" in said.file.getvalue()
    assert (able.manifest.answer, scored(student.folder, "good soup").answer) == (
        "model",
        own.answer,
    )
    head = able.manifest.head
    assert head is not None
    assert head.fusion is not None
    assert head.fusion.held_out is not None
    assert head.fusion.held_out.agreed_more[1] > 0.0
    wanted = replace(asking(teacher, texts), answer="fused")

    fused = refit_head(student.folder, wanted, QUIET)

    assert fused.manifest.answer == "fused"
    assert fused.manifest.head == head
    assert scored(student.folder, "good soup").answer == scored(teacher.folder, "good soup").answer
    assert scored(student.folder, "good soup").answer != own.answer
    quantiles = fused.manifest.confidences["classify"].quantiles
    assert quantiles != able.manifest.confidences["classify"].quantiles
    assert refit_head(student.folder, asking(teacher, texts), QUIET) == fused


def test_labels_say_how_often_fused_answers_are_right(
    student: Bundle, teacher: Bundle, texts: Path, tmp_path: Path
) -> None:
    rows = texts.read_text().splitlines()[1:]
    labelled = tmp_path / "labelled.tsv"
    lines = (f"{row}\t{'negative' if 'soup' in row else 'positive'}" for row in rows)
    labelled.write_text("\n".join(["text\tlabel", *lines]))

    headed = refit_head(student.folder, asking(teacher, texts, labelled), QUIET)

    assert headed.manifest.head is not None
    assert headed.manifest.head.fusion is not None
    held_out = headed.manifest.head.fusion.held_out
    assert held_out is not None
    assert held_out.labelled == 700
    assert held_out.right_more is not None
    assert held_out.right_more[1] > 0.0


def test_fused_answers_that_do_not_help_are_not_written(student: Bundle) -> None:
    manifest = (student.folder / MANIFEST).read_bytes()
    good, nothing = Figure(0.1, 0.05, 0.2), Figure(0.0, -0.1, 0.1)
    gain = HeadGain(700, 0.8, Figure(0.7, 0.6, 0.8), Figure(0.9, 0.8, 0.95), good, {})
    table = FittedTable(bytes(1024), 0.1, (0.0,))
    useless = FusionGain(700, 0.8, nothing, 0, float("nan"), None, {})
    weights, confidences = (0.0,) * 9, np.linspace(0.5, 1, 700)

    for fusion in (None, FittedFusion(0.1, weights, useless, confidences)):
        fitted = FittedHead(table, weights, gain, confidences, fusion)
        with pytest.raises(BundleError, match="fused answers do not help on 700 held-out texts"):
            write_head(student, fitted, teacher="t", texts=700, of=("t.tsv",), answer="fused")

    assert (student.folder / MANIFEST).read_bytes() == manifest


def test_a_head_that_does_not_help_is_not_written(student: Bundle) -> None:
    manifest = (student.folder / MANIFEST).read_bytes()
    nothing = Figure(0.0, -0.1, 0.1)
    gain = HeadGain(700, 0.8, Figure(0.7, 0.6, 0.8), Figure(0.7, 0.6, 0.8), nothing, {})
    table = FittedTable(bytes(1024), 0.1, (0.0,))
    fitted = FittedHead(table, (0.0,) * 9, gain, np.linspace(0.5, 1, 700))

    with pytest.raises(BundleError, match=r"the head does not help: on 700 .* it was not written"):
        write_head(student, fitted, teacher="teacher", texts=700, of=("texts.tsv",))

    assert (student.folder / MANIFEST).read_bytes() == manifest
    assert not (student.folder / TABLE).exists()


def test_a_teacher_that_never_says_otherwise_is_refused(student: Bundle, texts: Path) -> None:
    with pytest.raises(BundleError, match="student answers all 700 texts as its teacher"):
        refit_head(student.folder, asking(student, texts), QUIET)

    assert not (student.folder / TABLE).exists()


def test_a_teacher_with_other_labels_is_refused(tmp_path: Path) -> None:
    moods = write_bundle(tmp_path / "moods", labels=("sad", "glad"))

    with pytest.raises(
        BundleError, match="the teacher knows sad, glad, but the model to be packed"
    ):
        load_teacher(str(moods.folder), LABELS)


def test_a_teacher_may_name_its_labels_in_another_order(
    student: Bundle, texts: Path, tmp_path: Path
) -> None:
    words = {word: (1 - label, weight) for word, (label, weight) in LARGER.items()}
    turned = write_bundle(tmp_path / "turned", labels=LABELS[::-1], words=words)

    headed = refit_head(student.folder, asking(turned, texts), QUIET)

    assert headed.manifest.head is not None
    soup, film = (scored(student.folder, f"good {word}").confidence for word in ("soup", "film"))
    assert soup < film - 0.05


def test_too_few_texts_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "few.tsv"
    path.write_text("text\n" + "the same\n" * 900 + "another\n")

    with pytest.raises(DataError, match=r"few\.tsv has 2 different texts, and a head needs 500"):
        read_head_texts(HeadRequest("teacher", (path,)))


def test_texts_in_the_wrong_encoding_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "latin.tsv"
    path.write_bytes("text\ncafé\n".encode("latin-1"))

    with pytest.raises(DataError, match=r"latin\.tsv"):
        read_head_texts(HeadRequest("teacher", (path,)))


def test_a_label_that_the_model_does_not_know_is_refused(
    student: Bundle, teacher: Bundle, texts: Path, tmp_path: Path
) -> None:
    labelled = tmp_path / "labelled.tsv"
    labelled.write_text("text\tlabel\ngood soup\tgreat\n")

    with pytest.raises(DataError, match=r"--labels: the text 'good soup' has the label 'great'"):
        refit_head(student.folder, asking(teacher, texts, labelled), QUIET)


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (["--refit-head"], "--refit-head takes a bundle, --teacher and --texts"),
        (["--teacher", "t", "out", "--name", "n"], "--teacher and --texts go together"),
        (["--texts", "t.tsv", "out", "--name", "n"], "--teacher and --texts go together"),
        (["--answer", "fused", "out", "--name", "n"], "--teacher and --texts go together"),
        ([], "give SOURCE, OUT and --name, or a bundle and --refit-head"),
    ],
)
def test_flags_that_do_not_go_together_are_refused(flags: list[str], message: str) -> None:
    ran = CliRunner().invoke(command, ["bundle", *flags])

    assert ran.exit_code != 0
    assert message in " ".join(ran.output.split())
