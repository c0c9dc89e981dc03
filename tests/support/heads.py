"""Agreement heads made up for tests."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec
import numpy as np

from shared.runtimes.bundle import Bundle
from shared.runtimes.head_manifest import TABLE, FusionManifest, HeadManifest
from shared.runtimes.text_manifest import WEIGHTS

if TYPE_CHECKING:
    from typing import Any

SLOTS = 1 << 10
WEIGHTS_OF_HEAD = (0.3, 1.1, -0.7, 0.05, -0.1, 0.2, 0.4, 1.3, 0.9)
FUSION = FusionManifest(weight=6.0, weights=WEIGHTS_OF_HEAD[::-1])
"""So heavy that a random table changes answers."""


def random_table(labels: int = 2, *, slots: int = SLOTS, seed: int = 0) -> bytes:
    """Return int8 weights for every label but the first, a third of them zero."""
    draw = np.random.default_rng(seed)
    table = draw.integers(-127, 128, (labels - 1) * slots).astype(np.int8)
    table[draw.random(len(table)) < 1 / 3] = 0
    return table.tobytes()


def give_head(bundle: Bundle, *, table: bytes | None = None, **changes: Any) -> Bundle:
    """Write a random head into a bundle's folder; ``changes`` are those to its manifest's entry."""
    manifest, labels = bundle.manifest, len(bundle.manifest.labels)
    (bundle.folder / TABLE).write_bytes(random_table(labels) if table is None else table)
    head = HeadManifest(
        model=manifest.files[WEIGHTS],
        labels=manifest.labels,
        teacher="larger",
        texts=1_000,
        slots=SLOTS,
        scale=0.02,
        constants=(0.1,) * (labels - 1),
        weights=WEIGHTS_OF_HEAD,
    )
    changed = msgspec.structs.replace(head, **changes)
    return Bundle.write(
        bundle.folder, msgspec.structs.replace(manifest, confidence="agreement", head=changed)
    )
