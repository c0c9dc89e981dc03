"""The files of a bundle, whatever its model does: a manifest, and the SHA-256 of each file."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Annotated, Any, Final, Literal

import msgspec
import yaml
from msgspec import Meta

from shared.errors import BundleError
from shared.settings.yaml_file import NotYaml, read_yaml

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

FORMAT: Final = 1
MANIFEST: Final = "bundle.yaml"

FileName = Annotated[str, Meta(pattern=r"^[A-Za-z0-9_][A-Za-z0-9._-]*$")]
Side = Literal["left", "right"]
Sha256 = Annotated[str, Meta(pattern=r"^[0-9a-f]{64}$")]


def write_manifest(folder: Path, manifest: msgspec.Struct) -> None:
    """Write ``bundle.yaml``."""
    text = yaml.safe_dump(
        msgspec.to_builtins(manifest), sort_keys=False, allow_unicode=True, width=100
    )
    (folder / MANIFEST).write_text(text, encoding="utf-8")


def hashes_in(folder: Path) -> dict[str, str]:
    """Return the SHA-256 of each file in a folder but the manifest."""
    return {
        path.name: sha256_of(path)
        for path in sorted(folder.iterdir())
        if path.is_file() and path.name != MANIFEST
    }


def read_manifest_tree(path: Path) -> dict[Any, Any]:
    """Return what a manifest holds, unchecked. Raises ``BundleError``."""
    try:
        tree = read_yaml(path)
    except FileNotFoundError:
        raise BundleError(
            f"{path.parent}: holds no {MANIFEST}, so it is no bundle; make one with recserve pack"
        ) from None
    except OSError as error:
        raise BundleError(f"{path}: cannot be read ({error.strerror})") from error
    except NotYaml as error:
        raise BundleError(f"{path}: {error}; correct it or pack it again") from error
    if not isinstance(tree, dict):
        raise BundleError(f"{path}: must hold a mapping of keys to values; pack it again")
    return tree


def verify_files(folder: Path, files: Mapping[str, str]) -> None:
    """Hold the files of a folder against their SHA-256. Raises ``BundleError``."""
    for name, expected in files.items():
        path = folder / name
        if not path.is_file():
            raise BundleError(f"{path}: the file is missing; copy the whole bundle again")
        if sha256_of(path) != expected:
            raise BundleError(
                f"{path}: the file is not the one that was packed (its SHA-256 differs); "
                "copy the whole bundle again"
            )


def size_of(folder: Path, files: Mapping[str, str]) -> int:
    """Return the bytes of all files together, the manifest included."""
    return sum((folder / name).stat().st_size for name in (*files, MANIFEST))


def sha256_of(path: Path) -> str:
    """Return the SHA-256 of a file, in hexadecimal digits."""
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while block := file.read(1 << 20):
            digest.update(block)
    return digest.hexdigest()
