"""Turns a bundle on the disk into what is signed of it, and puts its files into a store."""

from __future__ import annotations

import os
import shutil
import time
from typing import TYPE_CHECKING

import msgspec

from shared.runtimes.bundle import Bundle
from shared.runtimes.bundle_files import MANIFEST
from shared.storage.files import sync_folder
from shared.wire.manifest import CHUNK_BYTES, ShippedBundle, ShippedFile, chunk_hashes

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from shared.nodes.signing import ManifestSigner
    from shared.nodes.store import BundleStore
    from shared.wire.manifest import SignedManifest


def describe(
    folder: Path, *, site: str, base: str = "", serial: int | None = None
) -> ShippedBundle:
    """Return what is to be signed of a bundle. Raises ``BundleError`` for one that is none.

    The serial is the time in milliseconds unless it is given.
    """
    bundle = Bundle.open(folder)
    files = [describe_file(bundle.folder / name) for name in (MANIFEST, *bundle.manifest.files)]
    return ShippedBundle(
        site=site,
        name=bundle.manifest.name,
        version=bundle.manifest.version,
        digest=bundle.digest,
        serial=int(time.time() * 1000) if serial is None else serial,
        base=base,
        files=tuple(files),
    )


def sign(bundle: ShippedBundle, signer: ManifestSigner) -> SignedManifest:
    """Return the envelope of a bundle."""
    return signer.sign(msgspec.json.encode(bundle).decode())


def put_files(bundle: ShippedBundle, folder: Path, store: BundleStore) -> None:
    """Copy a bundle's files into a store, under their hashes. Raises ``OSError``."""
    for file in bundle.files:
        place = store.blob(file.sha256)
        if store.has(file):
            continue
        beside = store.folder / "parts" / f"{file.sha256}.copy"
        shutil.copyfile(folder / file.name, beside)
        descriptor = os.open(beside, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
        beside.replace(place)
        sync_folder(place.parent)


def describe_file(path: Path) -> ShippedFile:
    """Return what one file is. Raises ``OSError``."""
    chunks, sha256, size = chunk_hashes(_blocks(path))
    return ShippedFile(name=path.name, sha256=sha256, size_bytes=size, chunks=chunks)


def _blocks(path: Path) -> Iterator[bytes]:
    with path.open("rb") as file:
        while block := file.read(CHUNK_BYTES):
            yield block
