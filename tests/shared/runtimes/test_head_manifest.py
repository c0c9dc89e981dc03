from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec
import pytest

from shared.errors import BundleError
from shared.messages import Scored
from shared.runtimes import ModelSettings, load_model
from shared.runtimes.bundle import MANIFEST, WEIGHTS, Bundle
from shared.runtimes.head_manifest import TABLE
from shared.tasks.classify import requests
from tests.support.heads import SLOTS, give_head, random_table
from tests.support.tiny_models import write_bundle

if TYPE_CHECKING:
    from pathlib import Path

TEXTS = ("good soup", "bad", "a very good film; not bad", "zzz", "bad bad good")


@pytest.fixture
def plain(tmp_path: Path) -> Bundle:
    pytest.importorskip("onnx")
    return write_bundle(tmp_path / "bag")


def answers(bundle: Bundle) -> list[Scored]:
    model = load_model(ModelSettings(source=str(bundle.folder), batch_prompts=1))
    entries = model.answer(requests(TEXTS))
    model.close()
    return [entry for entry in entries if isinstance(entry, Scored)]


def test_a_head_changes_what_routing_goes_by_and_nothing_else(plain: Bundle) -> None:
    before = answers(plain)

    after = answers(give_head(plain))

    assert [one.answer for one in after] == [one.answer for one in before]
    assert [one.probabilities for one in after] == [one.probabilities for one in before]
    assert [one.certainty for one in after] == [one.confidence for one in before]
    assert all(a.confidence != b.confidence for a, b in zip(after, before, strict=True))


def test_a_bundle_without_a_head_opens_as_before(plain: Bundle) -> None:
    assert plain.manifest.confidence == "max_probability"
    assert plain.head() is None
    assert all(one.confidence == one.certainty == max(one.probabilities) for one in answers(plain))


def test_a_head_can_be_left_out_by_one_key(plain: Bundle) -> None:
    before = answers(plain)
    headed = give_head(plain)

    off = Bundle.write(
        plain.folder, msgspec.structs.replace(headed.manifest, confidence="max_probability")
    )

    assert [one.confidence for one in answers(off)] == [one.confidence for one in before]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"model": "0" * 64}, "was fitted to another model"),
        ({"labels": ("bad", "good")}, "for the labels bad, good, but the model has negative"),
        ({"version": 2}, "is of version 2, but this recserve reads version 1"),
        ({"weights": (1.0, 2.0)}, "2 weights, where 1 and 9 are wanted"),
        ({"constants": (1.0, 2.0)}, "2 constants and 9 weights"),
    ],
)
def test_a_head_of_something_else_is_refused(
    plain: Bundle, changes: dict[str, Any], message: str
) -> None:
    with pytest.raises(BundleError, match=message) as refused:
        give_head(plain, **changes)

    assert "recserve pack --refit-head" in str(refused.value)
    assert MANIFEST in str(refused.value)


def test_a_head_of_a_requantised_model_is_refused(plain: Bundle) -> None:
    bundle = give_head(plain)
    with (plain.folder / WEIGHTS).open("ab") as file:
        file.write(b"\0")

    with pytest.raises(BundleError, match="its head was fitted to another model"):
        Bundle.write(plain.folder, bundle.manifest)


def test_an_altered_table_is_refused(plain: Bundle) -> None:
    give_head(plain)
    (plain.folder / TABLE).write_bytes(random_table(seed=9))

    with pytest.raises(BundleError, match=r"ngrams\.bin: the file is not the one that was packed"):
        Bundle.open(plain.folder)


def test_a_cut_table_is_refused_even_where_its_hash_was_made_again(plain: Bundle) -> None:
    bundle = give_head(plain, table=random_table()[: SLOTS // 2])

    with pytest.raises(BundleError, match=r"ngrams\.bin: has 512 bytes, where its head wants 1024"):
        load_model(ModelSettings(source=str(bundle.folder)))


def test_a_missing_table_is_refused(plain: Bundle) -> None:
    bundle = give_head(plain)
    (plain.folder / TABLE).unlink()

    with pytest.raises(BundleError, match=r"ngrams\.bin: the file is missing"):
        Bundle.open(plain.folder)
    with pytest.raises(BundleError, match=r"files does not list ngrams\.bin"):
        Bundle.write(plain.folder, bundle.manifest)


def test_agreement_without_a_head_is_refused(plain: Bundle) -> None:
    with pytest.raises(BundleError, match="confidence is agreement, but there is no head"):
        Bundle.write(plain.folder, msgspec.structs.replace(plain.manifest, confidence="agreement"))


def test_a_head_of_a_tagger_is_refused(plain: Bundle) -> None:
    headed = give_head(plain)

    with pytest.raises(BundleError, match="a head is for classify and not for tag"):
        Bundle.write(plain.folder, msgspec.structs.replace(headed.manifest, task="tag"))
