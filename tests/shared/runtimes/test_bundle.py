from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pytest
import yaml

from shared.errors import BundleError
from shared.runtimes.bundle import Bundle
from shared.runtimes.bundle_files import MANIFEST
from shared.runtimes.manifest import Manifest, MeasuredQuality
from shared.runtimes.text_manifest import TOKENIZER, WEIGHTS

if TYPE_CHECKING:
    from pathlib import Path

FACTS = Manifest(
    name="sentiment",
    version="1",
    labels=("negative", "positive"),
    max_tokens=64,
    trained_on=("sst2: 6,911 rows",),
    quality={"dev": MeasuredQuality(rows=872, accuracy=0.9, mean_confidence=0.93)},
)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    folder = tmp_path / "sentiment"
    folder.mkdir()
    (folder / WEIGHTS).write_bytes(b"weights")
    (folder / TOKENIZER).write_text("{}")
    Bundle.write(folder, FACTS)
    return folder


def change(folder: Path, **keys: object) -> None:
    """Write other values into the manifest; ``None`` removes a key."""
    path = folder / MANIFEST
    tree = yaml.safe_load(path.read_text()) | keys
    path.write_text(
        yaml.safe_dump({key: value for key, value in tree.items() if value is not None})
    )


def refuses(folder: Path, *parts: str) -> None:
    """Opening fails with one sentence that has all the parts."""
    with pytest.raises(BundleError) as caught:
        Bundle.open(folder)
    for part in parts:
        assert part in str(caught.value)
    assert "\n" not in str(caught.value)


def test_what_was_written_is_read_again(folder: Path) -> None:
    bundle = Bundle.open(str(folder))
    assert bundle.manifest.quality["dev"].accuracy == 0.9
    assert bundle.manifest.labels == ("negative", "positive")
    assert (bundle.weights, bundle.tokenizer) == (folder / WEIGHTS, folder / TOKENIZER)
    assert set(bundle.manifest.files) == {WEIGHTS, TOKENIZER}


def test_a_digest_is_of_all_that_is_in_a_bundle(folder: Path) -> None:
    digest = Bundle.open(folder).digest
    assert re.fullmatch("[0-9a-f]{64}", digest)
    assert Bundle.open(folder).digest == digest

    (folder / WEIGHTS).write_bytes(b"other weights")
    other = Bundle.write(folder, FACTS).digest
    change(folder, version="2")

    assert len({digest, other, Bundle.open(folder).digest}) == 3


def test_the_size_counts_every_file(folder: Path) -> None:
    expected = sum(path.stat().st_size for path in folder.iterdir())
    assert Bundle.open(folder).size_bytes == expected


def test_a_missing_folder_is_named(tmp_path: Path) -> None:
    refuses(tmp_path / "nowhere", str(tmp_path / "nowhere"), "check model.source")


def test_a_folder_without_a_manifest_is_no_bundle(tmp_path: Path) -> None:
    refuses(tmp_path, str(tmp_path), MANIFEST, "recserve pack")


@pytest.mark.parametrize("name", [WEIGHTS, TOKENIZER])
def test_a_missing_file_is_named(folder: Path, name: str) -> None:
    (folder / name).unlink()
    refuses(folder, str(folder / name), "missing")


@pytest.mark.parametrize("name", [WEIGHTS, TOKENIZER])
def test_an_altered_file_is_named(folder: Path, name: str) -> None:
    with (folder / name).open("ab") as file:
        file.write(b"!")
    refuses(folder, str(folder / name), "SHA-256")


def test_an_unknown_key_is_named(folder: Path) -> None:
    change(folder, lables=["a", "b"])
    refuses(folder, str(folder / MANIFEST), "`lables`")


def test_a_value_of_the_wrong_type_is_named(folder: Path) -> None:
    change(folder, max_tokens="many")
    refuses(folder, str(folder / MANIFEST), "$.max_tokens")


def test_a_missing_key_is_named(folder: Path) -> None:
    change(folder, labels=None)
    refuses(folder, str(folder / MANIFEST), "labels has to name")


def test_a_format_of_the_future_is_refused(folder: Path) -> None:
    change(folder, format=2, something_new=True)
    refuses(folder, "format is 2", "upgrade")


def test_a_manifest_that_does_not_list_the_weights_is_refused(folder: Path) -> None:
    files = yaml.safe_load((folder / MANIFEST).read_text())["files"]
    change(folder, files={TOKENIZER: files[TOKENIZER]})
    refuses(folder, MANIFEST, WEIGHTS)


def test_a_file_outside_the_folder_is_refused(folder: Path) -> None:
    change(folder, files={"../secret": "0" * 64})
    refuses(folder, MANIFEST, "files")


def test_bad_yaml_is_named_with_its_line(folder: Path) -> None:
    (folder / MANIFEST).write_text("format: 1\nname: [unfinished\n")
    refuses(folder, str(folder / MANIFEST), "line 3")


def test_a_manifest_that_is_no_mapping_is_refused(folder: Path) -> None:
    (folder / MANIFEST).write_text("- format\n")
    refuses(folder, str(folder / MANIFEST), "mapping")


def test_a_manifest_that_is_no_text_is_refused(folder: Path) -> None:
    (folder / MANIFEST).write_bytes(b"\xff\xfe\x00")
    refuses(folder, str(folder / MANIFEST), "UTF-16")


def test_two_labels_at_least_are_wanted(folder: Path) -> None:
    change(folder, labels=["only"])
    with pytest.raises(BundleError, match="labels has to name at least two"):
        Bundle.open(folder)


def test_two_labels_of_one_name_are_refused(folder: Path) -> None:
    change(folder, labels=["same", "same"])
    refuses(folder, str(folder / MANIFEST), "twice")


def test_a_label_that_no_answer_could_carry_is_refused(folder: Path) -> None:
    change(folder, labels=["x" * 300, "y"])
    refuses(folder, str(folder / MANIFEST), "labels")


@pytest.mark.parametrize(
    "text",
    [
        "name: &a [x, x]\nformat: *a\n",
        "format: " + "[" * 3_000,
        "format: 2026-13-45\n",
        "a: &a [1,1,1,1,1,1,1,1,1]\n"
        + "".join(
            f"{n}: &{n} [{', '.join(['*' + p] * 9)}]\n"
            for p, n in zip("abcdefg", "bcdefgh", strict=True)
        ),
        "format: " + "9" * 5_000,
    ],
    ids=["an alias", "brackets", "a date that is none", "an alias bomb", "a long number"],
)
def test_a_manifest_that_means_harm_is_one_short_sentence(folder: Path, text: str) -> None:
    (folder / MANIFEST).write_text(text)
    with pytest.raises(BundleError) as caught:
        Bundle.open(folder)
    assert len(str(caught.value)) < 600
