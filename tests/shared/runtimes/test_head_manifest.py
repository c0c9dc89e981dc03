from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec
import pytest

from shared.errors import BundleError
from shared.messages import Scored
from shared.runtimes import ModelSettings, digest_of, expected_of, load_model
from shared.runtimes.agreement_head import AgreementHead, Expert
from shared.runtimes.bundle import Bundle
from shared.runtimes.bundle_files import MANIFEST
from shared.runtimes.head_manifest import TABLE, FusionManifest
from shared.runtimes.manifest import Confidences
from shared.runtimes.second_opinion import fuse
from shared.runtimes.text_manifest import WEIGHTS
from shared.tasks.classify import Label, requests
from tests.support.heads import FUSION, SLOTS, give_head, random_table
from tests.support.tiny_models import LABELS, write_bundle

if TYPE_CHECKING:
    from pathlib import Path

    from shared.runtimes.model_settings import Answers

TEXTS = ("good soup", "bad", "a very good film; not bad", "zzz", "bad bad good")


@pytest.fixture
def plain(tmp_path: Path) -> Bundle:
    pytest.importorskip("onnx")
    return write_bundle(tmp_path / "bag")


def answers(bundle: Bundle, answer: Answers | None = None) -> list[Scored]:
    model = load_model(ModelSettings(source=str(bundle.folder), batch_prompts=1, answer=answer))
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
    assert plain.second_opinion() is None
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


def test_fused_answers_are_what_the_expert_makes_of_the_models(plain: Bundle) -> None:
    before = answers(plain)
    bundle = give_head(plain, fusion=FUSION)
    expert = Expert(random_table(), scale=0.02, constants=(0.1,))

    after = answers(bundle, "fused")

    for text, own, fused in zip(TEXTS, before, after, strict=True):
        probabilities = fuse(own.probabilities, expert.read(text).scores, FUSION.weight)
        label = probabilities.index(max(probabilities))
        head = AgreementHead(expert, FUSION.weights)
        assert fused.probabilities == probabilities
        assert fused.answer == Label(LABELS[label])
        assert fused.confidence == head.confidence(text, probabilities, label)
        assert fused.certainty == max(probabilities)
    assert [one.answer for one in after] != [one.answer for one in before]


def test_without_the_key_answers_are_the_same_to_the_bit(plain: Bundle) -> None:
    headed = answers(give_head(plain))

    able = answers(give_head(plain, fusion=FUSION))

    for one, other in zip(able, headed, strict=True):
        assert one == msgspec.structs.replace(other, elapsed_us=one.elapsed_us)


def test_the_setting_stands_in_place_of_what_the_bundle_says(plain: Bundle) -> None:
    own = answers(give_head(plain, fusion=FUSION))
    fused = answers(plain, "fused")
    headed = Bundle.open(plain.folder)

    packed = Bundle.write(plain.folder, msgspec.structs.replace(headed.manifest, answer="fused"))

    for way, wanted in ((None, fused), ("fused", fused), ("model", own)):
        found = answers(packed, way)  # type: ignore[arg-type] # of a tuple
        assert [(one.probabilities, one.confidence) for one in found] == [
            (one.probabilities, one.confidence) for one in wanted
        ]


def test_fused_answers_may_be_routed_by_their_largest_probability(plain: Bundle) -> None:
    headed = give_head(plain, fusion=FUSION)
    manifest = msgspec.structs.replace(
        headed.manifest, confidence="max_probability", answer="fused"
    )

    found = answers(Bundle.write(plain.folder, manifest))

    assert all(one.confidence == one.certainty == max(one.probabilities) for one in found)


def test_what_answers_otherwise_is_another_model_and_nothing_is_expected_of_it(
    plain: Bundle,
) -> None:
    known = Confidences(prompts=9, of=("texts",), quantiles=(0.2, 0.9))
    headed = give_head(plain, fusion=FUSION).manifest
    bundle = Bundle.write(
        plain.folder, msgspec.structs.replace(headed, confidences={"classify": known})
    )
    packed, own, fused = (
        ModelSettings(source=str(bundle.folder), answer=way) for way in (None, "model", "fused")
    )

    assert digest_of(packed) == digest_of(own) == bundle.digest
    assert digest_of(fused) != bundle.digest
    models = [load_model(settings) for settings in (own, fused)]
    assert [model.digest for model in models] == [bundle.digest, digest_of(fused)]
    assert [dict(expected_of(model)) for model in models] == [{"classify": (0.2, 0.9)}, {}]
    for model in models:
        model.close()


@pytest.mark.parametrize(
    ("head", "message"),
    [({}, "the bundle has no fusion in its head"), (None, "the bundle has no head")],
)
def test_nothing_is_fused_where_nothing_was_fitted(
    plain: Bundle, head: dict[str, Any] | None, message: str
) -> None:
    if head is not None:
        give_head(plain, **head)
    manifest = Bundle.open(plain.folder).manifest

    with pytest.raises(BundleError, match=f"answers are to be fused, but {message}; fit one"):
        load_model(ModelSettings(source=str(plain.folder), answer="fused"))
    with pytest.raises(BundleError, match=f"answers are to be fused, but {message}; fit one"):
        Bundle.write(plain.folder, msgspec.structs.replace(manifest, answer="fused"))


def test_fused_answers_of_a_tagger_are_refused(plain: Bundle) -> None:
    headed = give_head(plain, fusion=FUSION).manifest
    tagger = msgspec.structs.replace(
        headed, task="tag", confidence="max_probability", answer="fused"
    )

    with pytest.raises(BundleError, match="to be fused, but that is for classify and not for tag"):
        Bundle.write(plain.folder, tagger)


def test_a_fusion_of_other_features_is_refused(plain: Bundle) -> None:
    with pytest.raises(BundleError, match="1 constants and 3 weights, where 1 and 9 are wanted"):
        give_head(plain, fusion=FusionManifest(weight=1.0, weights=(1.0, 2.0, 3.0)))
