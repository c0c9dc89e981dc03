"""Lessons whose files nobody has, and a base that nobody trains."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

from shared.wire.nights import LessonBundle, LessonRecipe, NightLesson
from tests.support.shipped import shipped

if TYPE_CHECKING:
    from pathlib import Path


def write_base(folder: Path) -> str:
    """Write what has the form of a base's folder; return the digest of its weights."""
    folder.mkdir(exist_ok=True)
    (folder / "model.safetensors").write_bytes(b"weights")
    return hashlib.sha256(b"weights").hexdigest()


def make_lesson(base: str, *, night: int = 7, size_bytes: int = 1_000) -> NightLesson:
    """Return a lesson with a file of rows of that size."""
    return NightLesson(
        night=night,
        base=base,
        recipe=LessonRecipe(
            steps=10, rank=4, learning_rate=1e-3, new_rows=4, old_rows=4, shown_rows=0
        ),
        bundle=LessonBundle(
            task="generate",
            name="rivers",
            version="1-night-7",
            precision="float32",
            confidence="perplexity",
            max_tokens=64,
        ),
        rows=shipped({"lesson-rows.json": bytes(size_bytes)}).files[0],
    )
