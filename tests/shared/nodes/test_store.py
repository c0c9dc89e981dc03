"""What a store keeps of an agent, while several write."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

from msgspec.structs import replace

from tests.support.shipped import store_of

if TYPE_CHECKING:
    from pathlib import Path

    from shared.nodes.store import StoreNote

MODELS = [f"model-{number}" for number in range(24)]


def test_changes_of_the_note_from_several_threads_are_all_kept(tmp_path: Path) -> None:
    store = store_of(tmp_path)

    def raise_floor(model: str) -> None:
        def raised(note: StoreNote) -> StoreNote:
            return replace(note, floors=note.floors | {model: 1})

        store.update_note(raised)

    with ThreadPoolExecutor(8) as threads:
        list(threads.map(raise_floor, MODELS))

    assert store.note().floors == dict.fromkeys(MODELS, 1)
