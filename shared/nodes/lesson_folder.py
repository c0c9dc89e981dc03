"""The folder of one lesson, laid out alike on the edge that wants it and where it is taught.

::

    lesson.json        what is to be learned, as the edge says it to another agent
    lesson-rows.json   the rows of it
    lesson-warm/       the adapter to begin with, where it was sent here
    lesson-files/      files on their way, by content address
    adapter/, bundle/  what came of it
"""

from __future__ import annotations

import os
import shutil
from typing import TYPE_CHECKING, Final, NamedTuple

from shared.errors import StoreError
from shared.nodes.publish import describe_file
from shared.nodes.store import BundleStore
from shared.storage.files import sync_folder, write_atomically
from shared.wire.nights import NightLesson, decode_night, encode_night

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from shared.wire.manifest import ShippedFile

ADAPTER_FILES: Final = ("adapter_config.json", "adapter_model.safetensors")


class LessonFolder(NamedTuple):
    """Where the files of a lesson lie."""

    path: Path

    @property
    def rows(self) -> Path:
        """The rows that are learned."""
        return self.path / "lesson-rows.json"

    @property
    def warm(self) -> Path:
        """The adapter to begin with."""
        return self.path / "lesson-warm"

    @property
    def adapter(self) -> Path:
        """What was learned, on the frozen base."""
        return self.path / "adapter"

    @property
    def bundle(self) -> Path:
        """The model that was packed of both; whoever finds it finds it, and the adapter, whole."""
        return self.path / "bundle"

    def write(self, lesson: NightLesson) -> None:
        """Keep a lesson. Raises ``OSError``."""
        write_atomically(self.path / "lesson.json", encode_night(lesson), mode=0o600)

    def read(self) -> NightLesson | None:
        """Return the lesson; None where there is none. Raises ``MalformedMessage``."""
        path = self.path / "lesson.json"
        return decode_night(NightLesson, path.read_bytes()) if path.exists() else None

    def store(self) -> BundleStore:
        """Return the store of its files, open. Raises ``StoreError``."""
        store = BundleStore(self.path / "lesson-files")
        store.open()
        return store


def lend(store: BundleStore, folder: Path, names: Iterable[str]) -> tuple[ShippedFile, ...]:
    """Put files of a folder into a store, and return what they are. Raises ``StoreError``."""
    files = []
    try:
        for name in names:
            file = describe_file(folder / name)
            if not store.has(file):
                os.link(folder / name, store.blob(file.sha256))
            files.append(file)
    except OSError as error:
        raise StoreError(f"{folder}: its files cannot be lent ({error.strerror})") from error
    return tuple(files)


def lay_out(store: BundleStore, files: Iterable[ShippedFile], folder: Path) -> None:
    """Make a folder of files that a store has, in one step. Raises ``StoreError``."""
    beside = folder.with_name(f".{folder.name}.new")
    try:
        for old in (beside, folder):
            shutil.rmtree(old, ignore_errors=True)
        beside.mkdir(mode=0o700)
        for file in files:
            os.link(store.blob(file.sha256), beside / file.name)
        sync_folder(beside)
        beside.replace(folder)
        sync_folder(folder.parent)
    except OSError as error:
        raise StoreError(f"{folder}: cannot be laid out ({error.strerror})") from error
