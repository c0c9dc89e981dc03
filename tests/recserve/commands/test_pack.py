"""Heads that cannot be fitted or served: each ends the real command with one clear line."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING, Any

import msgspec
import pytest
import yaml
from click.testing import CliRunner

from recserve.cli import main
from shared.errors import BundleError
from shared.runtimes.bundle import Bundle
from shared.runtimes.bundle_files import MANIFEST
from shared.runtimes.head_manifest import TABLE
from shared.runtimes.text_manifest import TOKENIZER, WEIGHTS
from tests.support.heads import SLOTS, give_head, random_table
from tests.support.tiny_models import write_bundle

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

pytest.importorskip("onnx")


def error_of(*words: str) -> str:
    """Run ``recserve`` with these words and return its one line of error."""
    ran = CliRunner().invoke(main, words)
    assert isinstance(ran.exception, SystemExit), ran.exception
    assert ran.exit_code == 2
    lines = [line for line in ran.output.splitlines() if line.strip()]
    (error,) = [line for line in lines if line.startswith("error: ")]
    assert lines[-1] == error
    return error


# -- recserve pack --teacher -----------------------------------------------------------------


def many(path: Path, count: int = 600, **edits: bytes) -> None:
    rows = b"".join(b"good film %d\n" % number for number in range(count))
    path.write_bytes(b"text\n" + rows + edits.get("end", b""))


def other_labels(folder: Path) -> None:
    write_bundle(folder / "teacher", labels=("sad", "glad"))


def three_labels(folder: Path) -> None:
    write_bundle(folder / "teacher", labels=("negative", "positive", "mixed"))


@pytest.mark.parametrize(
    ("spoil", "line"),
    [
        (lambda folder: many(folder / "texts.tsv", 40), "texts.tsv has 40 different texts"),
        (
            lambda folder: many(folder / "texts.tsv", end="café\n".encode("latin-1")),
            "texts.tsv: row 602 is not UTF-8 text; save the file as UTF-8",
        ),
        (
            lambda folder: (folder / "texts.tsv").write_bytes(b"\x00\x01\x02" * 900),
            "texts.tsv",
        ),
        (
            lambda folder: (folder / "texts.tsv").write_text("sentence\ngood\n"),
            "texts.tsv: has no column 'text', only sentence",
        ),
        (
            lambda folder: many(folder / "texts.tsv", end=b"good\tfilm\n"),
            "texts.tsv: row 602 has 2 columns, but the header has 1",
        ),
        (lambda folder: (folder / "texts.tsv").unlink(), "texts.tsv: cannot be read"),
        (
            other_labels,
            "the teacher knows sad, glad, but the model to be packed negative, positive",
        ),
        (three_labels, "the teacher knows negative, positive, mixed, but the model"),
        (
            lambda folder: (folder / "teacher" / WEIGHTS).unlink(),
            f"teacher/{WEIGHTS}: the file is missing",
        ),
        (
            lambda folder: (folder / "labels.tsv").write_text("text\tlabel\ngood\tgreat\n"),
            "--labels: the text 'good' has the label 'great'",
        ),
        (
            lambda folder: (folder / "student" / TOKENIZER).write_text("{}"),
            f"student/{TOKENIZER}: the file is not the one that was packed",
        ),
    ],
)
def test_a_head_that_cannot_be_fitted_is_one_clear_line_and_changes_nothing(
    spoil: Callable[[Path], Any], line: str, tmp_path: Path
) -> None:
    student = write_bundle(tmp_path / "student")
    write_bundle(tmp_path / "teacher", words={"soup": (0, 5.0)})
    many(tmp_path / "texts.tsv")
    (tmp_path / "labels.tsv").write_text("text\tlabel\ngood\tpositive\n")
    before = (student.folder / MANIFEST).read_bytes()
    spoil(tmp_path)

    said = error_of(
        *("pack", "--refit-head", str(student.folder), "--teacher", str(tmp_path / "teacher")),
        *("--texts", str(tmp_path / "texts.tsv"), "--labels", str(tmp_path / "labels.tsv")),
    )

    assert line in said
    assert (student.folder / MANIFEST).read_bytes() == before
    assert not (student.folder / TABLE).exists()


# -- recserve device with a head ---------------------------------------------------------------


def rewritten(bundle: Bundle, **changes: Any) -> None:
    """Change entries of the head in the manifest by hand."""
    headed = give_head(bundle)
    path = headed.folder / MANIFEST
    tree = yaml.safe_load(path.read_text())
    tree["head"] |= changes
    path.write_text(yaml.safe_dump(tree))


def cut(bundle: Bundle) -> None:
    headed = give_head(bundle)
    (headed.folder / TABLE).write_bytes(random_table()[:-7])


def cut_and_hashed_anew(bundle: Bundle) -> None:
    headed = give_head(bundle)
    (headed.folder / TABLE).write_bytes(random_table()[:-7])
    Bundle.write(headed.folder, headed.manifest)


def without_its_table(bundle: Bundle) -> None:
    headed = give_head(bundle)
    (headed.folder / TABLE).unlink()


def without_a_head(bundle: Bundle) -> None:
    Bundle.write(bundle.folder, msgspec.structs.replace(bundle.manifest, confidence="agreement"))


@pytest.mark.parametrize(
    ("spoil", "line"),
    [
        (lambda bundle: rewritten(bundle, model="0" * 64), "its head was fitted to another model"),
        (
            lambda bundle: rewritten(bundle, version=9),
            "its head is of version 9, but this recserve",
        ),
        (
            lambda bundle: rewritten(bundle, labels=["sad", "glad"]),
            "fitted for the labels sad, glad",
        ),
        (lambda bundle: rewritten(bundle, weights=[0.5]), "its head has 1 constants and 1 weights"),
        (lambda bundle: rewritten(bundle, slots=0), "slots"),
        (lambda bundle: rewritten(bundle, mood="fine"), "mood"),
        (cut, f"{TABLE}: the file is not the one that was packed"),
        (cut_and_hashed_anew, f"{TABLE}: has {SLOTS - 7} bytes, where its head wants {SLOTS}"),
        (without_its_table, f"{TABLE}: the file is missing"),
        (without_a_head, "confidence is agreement, but there is no head"),
    ],
)
def test_a_device_whose_head_is_of_something_else_does_not_start_and_says_why(
    spoil: Callable[[Bundle], None], line: str, tmp_path: Path
) -> None:
    bundle = write_bundle(tmp_path / "bundle")
    with contextlib.suppress(BundleError):  # whoever writes such a bundle is told as well
        spoil(bundle)
    settings = tmp_path / "device.yaml"
    settings.write_text(
        f"agent: device-1\ntier: {{name: device}}\nmodel: {{source: {bundle.folder}}}\n"
    )

    said = error_of("device", "--config", str(settings))

    assert line in said
    assert str(bundle.folder) in said
