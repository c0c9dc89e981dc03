from __future__ import annotations

import contextlib
import io
import signal
import sqlite3
import subprocess
import sys
import time
from typing import TYPE_CHECKING

import msgspec
import numpy as np
import pytest
from rich.console import Console

from experiments.datasets.sets import LabelledSet, Part, concatenate, order_rows
from experiments.evaluation.matrix import Matrix, fill_matrix
from experiments.evaluation.tier_models import answering, read_facts
from shared.errors import BundleError, DataError
from shared.runtimes import labels_of, load_model
from shared.runtimes.bundle import Bundle
from shared.tasks.classify import requests
from tests.experiments.conftest import TIERS, films, tier_model
from tests.support.heads import FUSION, give_head
from tests.support.tiny_models import SURROGATE, write_bundle

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from experiments.evaluation.tier_models import TierModel
    from shared.tasks import Options


def same(left: Matrix, right: Matrix) -> bool:
    return left.data == right.data and all(
        np.array_equal(one.probabilities, other.probabilities)
        for one, other in zip(left.tiers, right.tiers, strict=True)
    )


def test_the_matrix_holds_what_the_models_say(tiers: Sequence[TierModel], tmp_path: Path) -> None:
    data = films()

    matrix = fill_matrix(data, tiers, tmp_path)

    assert [answers.tier for answers in matrix.tiers] == list(TIERS)
    model = load_model(tiers[1].model)
    scored = model.answer(requests(data.texts))
    model.close()
    for row, entry in enumerate(scored):
        assert entry.probabilities == pytest.approx(matrix.tiers[1].probabilities[row])  # type: ignore[union-attr]
        assert entry.confidence == pytest.approx(matrix.tiers[1].confidence[row])  # type: ignore[union-attr]
        assert labels_of(model)[matrix.tiers[1].labels[row]] == entry.answer.label  # type: ignore[union-attr]
    assert (matrix.tiers[0].elapsed_us > 0).all()
    assert matrix.right.shape == (3, 30)
    assert matrix.right[0].mean() == np.mean(matrix.tiers[0].labels == np.array(data.labels))


def test_sizes_are_those_of_utf8(tiers: Sequence[TierModel], tmp_path: Path) -> None:
    data = LabelledSet("soups", ("good", "très bon"), (1, 1), films().label_names, ())

    assert fill_matrix(data, tiers[:1], tmp_path).prompt_bytes.tolist() == [4, 9]


def test_a_full_matrix_is_read_without_any_model(
    tiers: Sequence[TierModel], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    filled = fill_matrix(films(), tiers, tmp_path)
    monkeypatch.setattr("experiments.evaluation.answering.load_model", None)

    assert same(filled, fill_matrix(films(), tiers, tmp_path))


def test_sets_share_the_answers_to_prompts_they_share(
    tiers: Sequence[TierModel], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fill_matrix(films(30), tiers, tmp_path)
    monkeypatch.setattr("experiments.evaluation.answering.load_model", None)

    both = concatenate([films(10), films(20)])

    assert len(fill_matrix(both, tiers, tmp_path).truth) == 30


def test_rows_keep_their_answers_in_another_order(
    tiers: Sequence[TierModel], tmp_path: Path
) -> None:
    data = films()
    rows = order_rows(data, "shuffled", seed=1)

    taken = fill_matrix(data, tiers, tmp_path).take(rows)

    assert same(taken, fill_matrix(data.take(rows), tiers, tmp_path))
    assert taken.tiers[0].elapsed_us.shape == (30,)


def test_labels_in_another_order_are_laid_out_as_in_the_set(tmp_path: Path) -> None:
    write_bundle(tmp_path / "plain")
    write_bundle(tmp_path / "turned", labels=("positive", "negative"))

    matrix = fill_matrix(
        films(), [tier_model(tmp_path / "plain"), tier_model(tmp_path / "turned")], tmp_path
    )

    plain, turned = (tier.probabilities for tier in matrix.tiers)
    assert plain == pytest.approx(turned[:, ::-1])


def test_a_model_with_other_labels_is_refused_before_any_runs(
    tiers: Sequence[TierModel], tmp_path: Path
) -> None:
    write_bundle(tmp_path / "moods", labels=("joy", "anger"))

    with pytest.raises(BundleError, match="the model of moods knows joy, anger, but films was"):
        fill_matrix(films(), [*tiers, tier_model(tmp_path / "moods")], tmp_path / "matrix")

    assert not (tmp_path / "matrix").exists()


def _any_key(text: str, options: Options | None = None) -> bytes:
    """Return a key even for what cannot be encoded."""
    del options
    return repr(text).encode()[:16]


def test_a_prompt_that_fails_is_named_and_its_neighbours_are_kept(
    tiers: Sequence[TierModel], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    data = films(10)
    texts = (*data.texts[:4], SURROGATE, *data.texts[5:])
    for module in ("matrix", "answering"):
        monkeypatch.setattr(f"experiments.evaluation.{module}.prompt_key", _any_key)
    broken = msgspec.structs.replace(data, texts=texts)

    with pytest.raises(DataError, match="films: prompt 5: the model could not tokenise"):
        fill_matrix(broken, tiers[:1], tmp_path)

    (path,) = tmp_path.glob("*.sqlite")
    assert _count_kept(path) > 6


def test_altered_answers_are_made_again(tiers: Sequence[TierModel], tmp_path: Path) -> None:
    filled = fill_matrix(films(), tiers[:1], tmp_path)
    (path,) = tmp_path.glob("*.sqlite")
    path.write_bytes(path.read_bytes()[:-900])

    assert same(filled, fill_matrix(films(), tiers[:1], tmp_path))


def test_progress_names_the_set_and_the_tier(tiers: Sequence[TierModel], tmp_path: Path) -> None:
    console = Console(file=io.StringIO(), width=100)

    fill_matrix(films(), tiers, tmp_path, console)

    assert isinstance(console.file, io.StringIO)
    assert "films · cloud" in console.file.getvalue()
    assert "30/30" in console.file.getvalue()


_SOME_ROWS_BYTES = 100_000


def _count_kept(path: Path) -> int:
    with contextlib.closing(sqlite3.connect(path)) as file:
        (count,) = file.execute("SELECT count(*) FROM answers").fetchone()
    return int(count)


KILLED = """
import sys, time
from pathlib import Path
import experiments.evaluation.answering, experiments.evaluation.matrix
from tests.experiments.conftest import films, tier_model
experiments.evaluation.answering._CHUNK_PROMPTS = 4
experiments.evaluation.answering._refuse_failures = lambda *_: time.sleep(0.05)
experiments.evaluation.matrix.fill_matrix(films(400), [tier_model(Path(sys.argv[1]))],
Path(sys.argv[2]))
"""


def test_a_matrix_killed_midway_goes_on_where_it_stopped(
    tiers: Sequence[TierModel], tmp_path: Path
) -> None:
    bundle, folder = tiers[0].model.source, tmp_path / "matrix"
    process = subprocess.Popen([sys.executable, "-c", KILLED, bundle, str(folder)])
    patience_s = time.monotonic() + 30
    while not any(path.stat().st_size > _SOME_ROWS_BYTES for path in folder.glob("*.sqlite-wal")):
        assert process.poll() is None
        assert time.monotonic() < patience_s
        time.sleep(0.01)
    process.send_signal(signal.SIGKILL)
    process.wait()

    (path,) = folder.glob("*.sqlite")
    before = _count_kept(path)
    assert 0 < before < 400
    resumed = fill_matrix(films(400), tiers[:1], folder)

    assert _count_kept(path) == 400
    assert same(resumed, fill_matrix(films(400), tiers[:1], tmp_path / "anew"))


def test_parts_are_carried_along(tiers: Sequence[TierModel], tmp_path: Path) -> None:
    data = concatenate([films(4), films(3)])

    assert fill_matrix(data, tiers[:1], tmp_path).data.parts == (Part("films", 4), Part("films", 3))


def test_a_model_with_a_head_has_both_confidences(tmp_path: Path) -> None:
    data, plain = films(), tier_model(write_bundle(tmp_path / "plain").folder)
    headed = tier_model(give_head(write_bundle(tmp_path / "headed")).folder)

    before, after = fill_matrix(data, [plain, headed], tmp_path / "answers").tiers

    assert np.array_equal(after.probabilities, before.probabilities)
    assert np.array_equal(after.confidence, before.confidence)
    assert before.agreement is None
    assert np.array_equal(before.routing, before.confidence)
    model = load_model(headed.model)
    scored = model.answer(requests(data.texts))
    model.close()
    assert [entry.confidence for entry in scored] == pytest.approx(after.routing)  # type: ignore[union-attr]
    taken = after.take([3, 1])
    assert taken.agreement is not None
    assert taken.agreement.tolist() == [after.routing[3], after.routing[1]]
    assert np.array_equal(after.headless().routing, after.confidence)


def test_a_head_does_not_make_kept_answers_unknown(tmp_path: Path) -> None:
    bundle = write_bundle(tmp_path / "bag")
    plain = read_facts(tier_model(bundle.folder).model)

    headed = read_facts(tier_model(give_head(bundle).folder).model)

    assert headed.fingerprint == plain.fingerprint
    assert headed.second is not None


def test_fused_answers_are_made_of_those_that_are_kept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    data = films()
    bundle = give_head(write_bundle(tmp_path / "bag"), fusion=FUSION)
    (own,) = fill_matrix(data, [tier_model(bundle.folder)], tmp_path / "answers").tiers
    fused = answering([tier_model(bundle.folder)], {"bag": "fused"})
    model = load_model(fused[0].model)
    scored = model.answer(requests(data.texts))
    model.close()
    monkeypatch.setattr("experiments.evaluation.answering.load_model", None)

    (found,) = fill_matrix(data, fused, tmp_path / "answers").tiers

    for row, entry in enumerate(scored):
        assert entry.probabilities == pytest.approx(found.probabilities[row])  # type: ignore[union-attr]
        assert entry.confidence == pytest.approx(found.routing[row])  # type: ignore[union-attr]
    assert (found.labels != own.labels).any()


def test_what_is_kept_is_the_models_alone_where_fused_answers_are_packed(tmp_path: Path) -> None:
    bundle = give_head(write_bundle(tmp_path / "bag"), fusion=FUSION)
    Bundle.write(bundle.folder, msgspec.structs.replace(bundle.manifest, answer="fused"))
    served = tier_model(bundle.folder)
    fused, own = (
        fill_matrix(films(), tiers, tmp_path / "answers")
        for tiers in (
            [served],
            answering([served], {"bag": "model"}),
        )
    )

    plain = fill_matrix(films(), [tier_model(write_bundle(tmp_path / "plain").folder)], tmp_path)

    assert same(own, plain)
    assert not same(fused, plain)
