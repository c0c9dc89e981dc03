"""What a night has learned, as whoever trains is told it: rows, recipe, and the bundle to be made.

Whether that is this machine or another agent's makes no difference to it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import msgspec

from recserve.night.exam import PROBES
from recserve.night.learn import LessonRows
from recserve.night.lessons import plain_rows, shown_rows
from shared.nodes.lesson_folder import ADAPTER_FILES, lend
from shared.runtimes.weights import weights_digest
from shared.storage.files import write_atomically
from shared.wire.nights import LessonBundle, LessonRecipe, NightLesson

if TYPE_CHECKING:
    from pathlib import Path

    from edge_agent.nights.folder import NightOrder, NightRows
    from shared.nodes.lesson_folder import LessonFolder
    from shared.runtimes.bundle import Bundle
    from shared.tasks import Task


class LessonParts(NamedTuple):
    """What is asked of whoever trains."""

    rows: LessonRows
    recipe: LessonRecipe
    bundle: LessonBundle


def lesson_rows(rows: NightRows, task: Task) -> LessonRows:
    """Return the rows of a night as they are learned."""
    return LessonRows(
        new=plain_rows(rows.new),
        old=plain_rows(rows.old),
        shown=shown_rows(rows.all) if task == "generate" else [],
        probes=tuple(row.probe for row in rows.all[:PROBES]),
    )


def like(served: Bundle, number: int) -> LessonBundle:
    """Return what is to be packed in the night of a number: what serves, with what was learned."""
    manifest = served.manifest
    return LessonBundle(
        task=manifest.task,  # type: ignore[arg-type] # no tagger's, as was looked at
        name=manifest.name,
        version=f"{manifest.version.partition('-night-')[0]}-night-{number}",
        precision=manifest.precision,
        confidence=manifest.confidence,
        max_tokens=manifest.max_tokens,
        licence=manifest.licence,
        description=manifest.description,
    )


def write_lesson(
    folder: LessonFolder, order: NightOrder, asked: LessonParts, warm: Path | None
) -> None:
    """Lay out what another agent is to be sent. Raises ``BundleError``, ``StoreError``."""
    write_atomically(folder.rows, msgspec.json.encode(asked.rows), mode=0o600)
    store = folder.store()
    try:
        (rows,) = lend(store, folder.path, [folder.rows.name])
        lesson = NightLesson(
            night=order.number,
            base=weights_digest(order.night.base),
            recipe=asked.recipe,
            bundle=asked.bundle,
            rows=rows,
            warm=lend(store, warm, ADAPTER_FILES) if warm is not None else (),
        )
    finally:
        store.close()
    folder.write(lesson)
