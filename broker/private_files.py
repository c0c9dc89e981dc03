"""Files and folders that are nobody else's business, written whole or not at all."""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING, Final

from shared.errors import SettingsError
from shared.storage.files import write_atomically

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

SECRET: Final = 0o600
PUBLIC: Final = 0o644
_FOLDER: Final = 0o700
_PUBLIC_ENDINGS: Final = (".crt", ".crl", ".conf", ".yaml")


def write_folder(folder: Path, files: Mapping[str, bytes]) -> None:
    """Make a folder with these files, or put these into it; each is replaced in one step.

    Certificates and settings may be read by all who reach the folder, everything else only by its
    owner. Raises ``SettingsError`` when the disk will not have it.
    """
    try:
        _make(folder)
        for name, data in files.items():
            mode = PUBLIC if name.endswith(_PUBLIC_ENDINGS) else SECRET
            place = folder / name
            # What takes the place of something is on the disk first; what is new can be made again.
            write_atomically(place, data, mode=mode, durable=place.exists())
    except OSError as error:
        raise SettingsError(f"{folder}: cannot be written ({error.strerror})") from error


def remove_folder(folder: Path) -> None:
    """Delete a folder, if it is still there."""
    if folder.exists():
        shutil.rmtree(folder)


def read_file(file: Path, purpose: str) -> bytes:
    """Return what a file holds. Raises ``SettingsError`` that says what it is needed for."""
    try:
        return file.read_bytes()
    except OSError as error:
        raise SettingsError(f"{file}: {purpose} ({error.strerror})") from error


def _make(folder: Path) -> None:
    """Make a folder, and those above it that are missing, for us alone."""
    if not folder.exists():
        _make(folder.parent)
        folder.mkdir(mode=_FOLDER)
