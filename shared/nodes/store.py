"""Bundles on a disk by content address; names of people and networks never become paths.

::

    blobs/SHA256             whole files, checked
    parts/SHA256.part        files on their way, with a .journal beside each
    manifests/DIGEST.json    signed manifests of the bundles that are, or were wanted, here
    bundles/DIGEST/          a bundle as it is served: links to its blobs
    store.json               which bundle is served, and what serial each model has come to
    store.lock               held by the process that writes here

Blocking: callers use a thread for what takes long.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import threading
import time
from typing import TYPE_CHECKING, Final

import msgspec

from shared.errors import BundleError, MalformedMessage, StoreError
from shared.nodes.part_file import PartFile
from shared.runtimes.bundle_files import sha256_of
from shared.storage.files import lock_alone, sync_folder, write_atomically
from shared.wire.control import HeldBundle
from shared.wire.manifest import decode_manifest, encode_manifest, read_body

if TYPE_CHECKING:
    from collections.abc import Callable, Collection
    from pathlib import Path

    from shared.wire.manifest import FileSet, ShippedBundle, ShippedFile, SignedManifest

_HEX: Final = frozenset("0123456789abcdef")
_SHA256_DIGITS: Final = 64
_FRESH_S: Final = 3600.0


class StoreNote(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """What outlives the process: the bundle in use, its generation, and the floor of each model.

    ``settings`` are those that the centre has put over the agent's own.
    """

    active: str = ""
    generation: int = 0
    floors: dict[str, int] = {}
    bases: dict[str, str] = {}
    settings: dict[str, str] = {}


class BundleStore:
    """One folder of bundles."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._lock = -1
        self._noting = threading.Lock()

    def open(self) -> None:
        """Make the folders and hold the store for this process.

        A lock file that a killed process left is in nobody's way. Raises ``StoreError``.
        """
        try:
            for name in ("blobs", "parts", "manifests", "bundles"):
                (self.folder / name).mkdir(mode=0o700, parents=True, exist_ok=True)
            lock = os.open(self.folder / "store.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        except OSError as error:
            raise StoreError(f"{self.folder}: cannot be made ({error.strerror})") from error
        try:
            lock_alone(lock)
        except BlockingIOError:
            os.close(lock)
            raise StoreError(
                f"{self.folder}: another process writes here; give this one a node.store of its own"
            ) from None
        self._lock = lock

    def close(self) -> None:
        """Let go of the store."""
        if self._lock >= 0:
            os.close(self._lock)
            self._lock = -1

    # -- what there is ---------------------------------------------------------------------------

    def blob(self, sha256: str) -> Path:
        """Return where a blob is, or would be. Raises ``StoreError`` for what is no hash."""
        if len(sha256) != _SHA256_DIGITS or not _HEX.issuperset(sha256):
            raise StoreError(f"{sha256[:80]!r} is no SHA-256")
        return self.folder / "blobs" / sha256

    def bundle(self, digest: str) -> Path:
        """Return the folder that a bundle is served from."""
        return self.folder / "bundles" / self.blob(digest).name

    def note(self) -> StoreNote:
        """Return what outlived the process before; nothing if that cannot be read."""
        with contextlib.suppress(OSError, msgspec.DecodeError):
            return msgspec.json.decode((self.folder / "store.json").read_bytes(), type=StoreNote)
        return StoreNote()

    def update_note(self, change: Callable[[StoreNote], StoreNote]) -> None:
        """Keep what ``change`` makes of the note, one change at a time. Raises ``OSError``."""
        with self._noting:
            note = self.note()
            changed = change(note)
            if changed != note:
                write_atomically(self.folder / "store.json", msgspec.json.encode(changed))

    def manifest(self, digest: str) -> SignedManifest | None:
        """Return a manifest that is kept here."""
        with contextlib.suppress(OSError, MalformedMessage):
            return decode_manifest(self._manifest_path(digest).read_bytes())
        return None

    def keep_manifest(self, digest: str, manifest: SignedManifest) -> None:
        """Keep a manifest. Raises ``StoreError``."""
        path = self._manifest_path(digest)
        try:
            write_atomically(path, encode_manifest(manifest))
        except OSError as error:
            raise StoreError(f"{path}: a manifest cannot be kept ({error.strerror})") from error

    def manifests(self) -> dict[str, SignedManifest]:
        """Return all that are kept, by digest."""
        found = {}
        for path in sorted((self.folder / "manifests").glob("*.json")):
            manifest = self.manifest(path.stem) if len(path.stem) == _SHA256_DIGITS else None
            if manifest is not None:
                found[path.stem] = manifest
        return found

    def missing(self, bundle: FileSet) -> list[ShippedFile]:
        """Return the files of a bundle that are not here whole, each once."""
        files = {file.sha256: file for file in bundle.files}
        return [file for file in files.values() if not self.has(file)]

    def has(self, file: ShippedFile) -> bool:
        """Say whether a file is here in its whole length."""
        with contextlib.suppress(OSError):
            return self.blob(file.sha256).stat().st_size == file.size_bytes
        return False

    def held(self, in_use: str) -> tuple[HeldBundle, ...]:
        """Return every bundle that is here whole, once each."""
        found = []
        for digest, manifest in self.manifests().items():
            with contextlib.suppress(MalformedMessage):
                body = read_body(manifest)
                if self.bundle(digest).is_dir() or not self.missing(body):
                    found.append(
                        HeldBundle(
                            name=body.name,
                            digest=digest,
                            version=body.version,
                            size_bytes=body.size_bytes,
                            in_use=digest == in_use,
                        )
                    )
        return tuple(found)

    @property
    def size_bytes(self) -> int:
        """What blobs and parts take on the disk."""
        sizes = 0
        for name in ("blobs", "parts"):
            for path in (self.folder / name).glob("*"):
                with contextlib.suppress(OSError):
                    sizes += path.stat().st_blocks * 512
        return sizes

    # -- what changes ----------------------------------------------------------------------------

    def part(self, file: ShippedFile) -> PartFile:
        """Open a file that is to be fetched, with what is left of an earlier try."""
        return PartFile(self.folder / "parts", file)

    def finish(self, part: PartFile) -> None:
        """Make a blob of a file whose chunks are all there. Raises ``BundleError``."""
        part.finish(self.blob(part.file.sha256))

    def assemble(self, bundle: ShippedBundle) -> Path:
        """Return the folder of a bundle whose files are all here. Raises ``BundleError``."""
        folder = self.bundle(bundle.digest)
        if folder.is_dir():
            return folder
        beside = folder.with_name(f"{folder.name}.new")
        try:
            shutil.rmtree(beside, ignore_errors=True)
            beside.mkdir(mode=0o700)
            for file in bundle.files:
                os.link(self.blob(file.sha256), beside / file.name)
            sync_folder(beside)
            beside.replace(folder)
            sync_folder(folder.parent)
        except OSError as error:
            raise BundleError(f"the bundle cannot be laid out ({error.strerror})") from error
        return folder

    def touch(self, digest: str) -> None:
        """Take note that a bundle is used now."""
        with contextlib.suppress(OSError):
            os.utime(self._manifest_path(digest), (time.time(), time.time()))

    def drop(self, digest: str) -> None:
        """Remove a bundle and the files that no other one has."""
        manifest = self.manifest(digest)
        shutil.rmtree(self.bundle(digest), ignore_errors=True)
        self._manifest_path(digest).unlink(missing_ok=True)
        wanted = self._wanted()
        for sha256 in _files_of(manifest) - wanted:
            self.blob(sha256).unlink(missing_ok=True)
            for path in (self.folder / "parts").glob(f"{sha256}.*"):
                path.unlink(missing_ok=True)

    def sweep(self) -> int:
        """Remove blobs and parts of no bundle that is known here; return the bytes freed.

        What came in the last hour stays: its manifest may be on its way.
        """
        wanted, freed = self._wanted(), 0
        for name in ("blobs", "parts"):
            for path in (self.folder / name).glob("*"):
                with contextlib.suppress(OSError):
                    found = path.stat()
                    old = time.time() - found.st_mtime > _FRESH_S
                    if old and path.name.partition(".")[0] not in wanted:
                        path.unlink()
                        freed += found.st_size
        return freed

    def _wanted(self) -> set[str]:
        """Return the hashes of all files of the bundles that are known here."""
        return set().union(*map(_files_of, self.manifests().values()))

    def drop_damaged(self, bundle: ShippedBundle) -> bool:
        """Remove those files of a bundle that are not as they were signed; say if any was not."""
        folder = self.bundle(bundle.digest)
        damaged = False
        for file in bundle.files:
            for path in (folder / file.name, self.blob(file.sha256)):
                if path.exists() and sha256_of(path) != file.sha256:
                    path.unlink()
                    damaged = True
        if damaged:
            shutil.rmtree(folder, ignore_errors=True)
        return damaged

    def make_room(self, more_bytes: int, quota_bytes: int, keep: Collection[str]) -> None:
        """Drop what was unused for longest until ``more_bytes`` fit into the quota.

        Raises ``BundleError`` when what must be kept leaves no room.
        """
        self.sweep()
        paths = sorted(
            (self.folder / "manifests").glob("*.json"), key=lambda path: path.stat().st_mtime
        )
        for path in paths:
            if self.size_bytes + more_bytes <= quota_bytes:
                return
            if path.stem not in keep:
                self.drop(path.stem)
        if self.size_bytes + more_bytes > quota_bytes:
            raise BundleError(
                f"{more_bytes} bytes more do not fit into node.quota_megabytes "
                f"({quota_bytes >> 20}) beside what is in use or to be kept"
            )

    def _manifest_path(self, digest: str) -> Path:
        return self.folder / "manifests" / f"{self.blob(digest).name}.json"


def _files_of(manifest: SignedManifest | None) -> set[str]:
    """Return the hashes of a bundle's files; none where its manifest is none."""
    with contextlib.suppress(MalformedMessage):
        return {file.sha256 for file in read_body(manifest).files} if manifest else set()
    return set()
