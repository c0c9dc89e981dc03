"""A night of a tiny classifier: the labels from above become its own, in texts it has not seen."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import numpy as np
import pytest
from rich.console import Console

from edge_agent.memory.entries import Entry
from edge_agent.memory.store import MemoryStore
from edge_agent.nights.folder import NightFolder, NightOrder
from edge_agent.nights.settings import NightSettings
from recserve.night.hold import main
from shared.runtimes import ModelSettings
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
SUBJECTS = ("film", "soup", "a film", "the soup", "the film", "a soup")


async def remember(folder: Path, labels: tuple[str, ...]) -> None:
    """Let the tier above have called what is good the last label, and what is bad the first."""
    store = MemoryStore.open(folder, "tiny", 8)
    texts = [
        (f"{word} {subject} " * times, label)
        for word, label in (("good", labels[-1]), ("bad", labels[0]))
        for subject in SUBJECTS
        for times in range(1, 5)
    ]
    for number, (text, label) in enumerate(texts, start=1):
        entry = Entry(
            id=number,
            task="classify",
            wordings=[text.strip()],
            answer=label,
            created_s=1.0,
            used_s=1.0,
        )
        store.put(entry, [np.ones(8, np.float32)])
    await store.close()


def test_a_classifier_learns_the_labels_from_above(tmp_path: Path) -> None:
    from models.pack.packing import pack  # noqa: PLC0415 - optional

    labels = ("negative", "positive")
    base = write_classifier(tmp_path / "base", labels=labels)
    quiet = Console(quiet=True)
    bundle = pack(str(base), tmp_path / "bundle", name="tiny", quantise=False, console=quiet)
    asyncio.run(remember(tmp_path, labels))
    nights = NightFolder(tmp_path)
    settings = NightSettings(base=str(base), steps=150, rank=8, learning_rate=5e-3, least=4)
    nights.write_order(
        NightOrder(
            number=1,
            day="2026-03-02",
            ordered_s=2.0,
            memory=str(tmp_path / "memory.db"),
            model=ModelSettings(source=str(bundle.folder)),
            own="",
            warm=0,
            night=settings,
        )
    )
    outcome = main(nights.of(1))

    assert outcome.verdict == "passed", outcome
    assert outcome.gates["held-out wordings"].value >= 0.9
    assert outcome.learned
    assert not any(row.wordings for row in nights.rows(1).all)  # type: ignore[union-attr]
