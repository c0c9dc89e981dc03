"""Where a bundle is packed, and how it comes to its place when all has succeeded."""

from __future__ import annotations

import tempfile
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from shared.errors import BundleError
from shared.runtimes.bundle import Bundle
from shared.runtimes.bundle_files import MANIFEST

if TYPE_CHECKING:
    from collections.abc import Iterator


def refuse_other_folder(out: Path) -> None:
    """Raise ``BundleError`` where what is there already is no bundle, and would be written over."""
    if out.exists() and not (out / MANIFEST).is_file():
        raise BundleError(f"{out}: is there already and is no bundle; choose another folder")


@contextmanager
def beside(place: Path) -> Iterator[Path]:
    """Give a folder to work in, on the disk of ``place``; it goes in the end, with all in it."""
    place.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=f".{place.name}-", dir=place.parent) as work:
        yield Path(work)


def put(bundle: Bundle, out: Path, work: Path) -> Bundle:
    """Move the finished bundle to ``out``."""
    put_folder(bundle.folder, out, work)
    return Bundle.open(out)


def put_folder(folder: Path, out: Path, work: Path) -> None:
    """Move a finished folder to ``out``; one that was there goes with the folder of the work."""
    if out.exists():
        out.rename(work / "replaced")
    folder.rename(out)
