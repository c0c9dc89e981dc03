"""A day and its night, of a tiny edge under the demo's device and cloud."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest
from rich.console import Console

from edge_agent.nights.settings import NightSettings
from experiments.datasets.sets import LabelledSet, Part
from experiments.nights.classify.asked import KeptAnswers
from experiments.nights.classify.base import FilmEdge
from experiments.nights.classify.day import DayCascade
from experiments.nights.classify.domains import LABELS
from experiments.nights.classify.site import NightSite, write_known
from models.train.data import TrainingRow
from tests.support.tiny_models import write_classifier

if TYPE_CHECKING:
    from pathlib import Path

pytest.importorskip("torch")
pytest.importorskip("peft")
pytest.importorskip("onnxscript")
pytestmark = [
    pytest.mark.slow,
    pytest.mark.timeout(600),
    pytest.mark.filterwarnings("ignore::FutureWarning"),
]
WORDS = (("good", 1), ("bad", 0))
SUBJECTS = ("film", "soup", "a film", "the soup", "the film", "a soup")


def texts() -> LabelledSet:
    rows = [
        (f"a very {word} day, {word} {subject}, {number} times", label)
        for number in range(8)
        for word, label in WORDS
        for subject in SUBJECTS
    ]
    said, labels = zip(*rows, strict=True)
    return LabelledSet("soups", said, labels, LABELS, (Part("soups", len(rows)),))


def make_edge(folder: Path) -> FilmEdge:
    from models.pack.packing import pack  # noqa: PLC0415 - optional

    base = write_classifier(folder / "model", labels=LABELS)
    quiet = Console(quiet=True)
    bundle = pack(str(base), folder / "bundle", name="tiny", quantise=False, console=quiet)
    return FilmEdge(base, bundle.folder)


async def hold(edge: FilmEdge, folder: Path) -> tuple[NightSite, DayCascade]:
    cascade = DayCascade(KeptAnswers(folder / "answers"), 0.6, edge.bundle)
    site = NightSite(edge, folder / "site")
    played = cascade.play(texts())
    assert played.texts > played.to_edge > len(played.answered) > 10
    assert all(each.said in LABELS for each in played.answered)
    await site.remember(played.answered, at_s=1.0)
    known = write_known(folder / "known.jsonl", [TrainingRow("a good film", 1)], LABELS)
    outcome = await site.night(
        NightSettings(
            base=str(edge.folder),
            old=str(known),
            steps=60,
            rank=8,
            learning_rate=5e-3,
            least=4,
            old_drop=1.0,
        )
    )
    assert outcome.verdict == "passed", outcome
    return site, cascade


@pytest.mark.long
def test_what_the_cloud_answered_by_day_the_edge_learns_at_night(tmp_path: Path) -> None:
    edge = make_edge(tmp_path / "edge")
    site, cascade = asyncio.run(hold(edge, tmp_path))

    assert site.model != edge.bundle
    cascade.exchange(site.model)
    assert cascade.play(texts()).to_edge > 0
