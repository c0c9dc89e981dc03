"""An edge that knows films alone: some layers of MiniLM, fitted to film sentences."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

from models.pack.packing import pack
from models.train.batches import encode
from models.train.data import smoothed
from models.train.fit import Schedule, fit
from models.train.folder import save
from models.train.student import HUB_ID, cut, find_base, load_base
from models.train.vocabulary import Pruned

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from models.train.data import TrainingRow

LAYERS: Final = (0, 2, 5)
"""Of MiniLM, as the demo's edge has them."""
TOKENS: Final = 128
"""It reads the last so many of a text."""
_SCHEDULE: Final = Schedule(epochs=2, rows_per_batch=32, peak_learning_rate=1.5e-4)
_SMOOTHING: Final = 0.05
_SEED: Final = 59154


class FilmEdge(NamedTuple):
    """The model as transformers reads it, and its bundle."""

    folder: Path
    bundle: Path


def make_edge(folder: Path, known: Sequence[TrainingRow]) -> FilmEdge:
    """Train and pack it, unless it lies in the folder already.

    Its vocabulary is MiniLM's whole and its embeddings stay: nothing of it knows what comes later.
    """
    made = FilmEdge(folder / "model", folder / "bundle")
    if (made.bundle / "bundle.yaml").exists():
        return made
    base = load_base(find_base(None))
    whole = Pruned(base.tokenizer, tuple(range(base.model.config.vocab_size)))
    student = cut(base, whole, LAYERS, TOKENS, _SEED)
    student.model.bert.embeddings.requires_grad_(requires_grad=False)
    fit(
        student.model,
        encode(student.tokenizer, smoothed(known, _SMOOTHING)),
        _SCHEDULE,
        _SEED,
        "an edge that knows films",
    )
    save(student, made.folder, {"base": HUB_ID, "data_rows": {"sst2/train.tsv.gz": len(known)}})
    texts = [row.text for row in known[:500]]
    pack(str(made.folder), made.bundle, name="film-edge", typical={"sst2/train.tsv.gz": texts})
    return made
