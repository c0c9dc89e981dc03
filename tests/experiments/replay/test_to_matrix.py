"""What the records of a run know of a model's answers, and what they do not."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec
import pytest

from experiments.evaluation.answer_store import open_store, prompt_key
from experiments.evaluation.tier_models import ModelFacts, read_facts
from experiments.replay.to_matrix import keep_known
from shared.messages import Hop
from shared.runtimes import ModelSettings
from tests.support.heads import give_head
from tests.support.replay_runs import made_record
from tests.support.tiny_models import write_bundle

if TYPE_CHECKING:
    from pathlib import Path

pytest.importorskip("onnx")

PLAIN = Hop("device", "device-1", 0.8, 0.5, 1000)
HEADED = Hop("device", "device-1", 0.3, 0.5, 1000, "agreement", 0.8)
NO_WORD = Hop("device", "device-1", 0.3, 0.5, 1000, "agreement")


def facts(folder: Path, *, head: bool) -> ModelFacts:
    bundle = write_bundle(folder)
    if head:
        give_head(bundle)
    return read_facts(ModelSettings(source=str(folder)))


@pytest.mark.parametrize(
    ("hop", "head", "known"),
    [
        (PLAIN, False, True),
        (PLAIN, True, False),
        (msgspec.structs.replace(PLAIN, confidence_kind="max_probability"), True, False),
        (HEADED, True, False),
        (HEADED, False, True),
        (NO_WORD, True, False),
        (NO_WORD, False, False),
    ],
)
def test_only_what_a_model_said_is_kept_as_its_answer(
    hop: Hop, head: bool, known: bool, tmp_path: Path
) -> None:
    asked = facts(tmp_path / "bundle", head=head)

    added = keep_known(tmp_path / "kept", "device", asked, [made_record(1, hops=(hop,))])

    assert added == known
    with open_store(tmp_path / "kept", asked.fingerprint) as store:
        kept = store.answers.get(prompt_key("prompt 1"))
        if kept is not None:
            assert kept.probabilities == pytest.approx((0.2, 0.8))
            assert kept.confidence == 0.8
