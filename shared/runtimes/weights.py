"""Which weights a model has that transformers reads: one digest, so that two machines mean one.

It is what ``cat *.safetensors | sha256sum`` says in the model's folder, its files in the order of
their names; where there are none of these, the same of ``*.bin``.
"""

from __future__ import annotations

import hashlib
import re
from pathlib import Path
from typing import Final

from shared.errors import BundleError

_KINDS: Final = ("*.safetensors", "*.bin")
_DIGEST: Final = re.compile(r"[0-9a-f]{64}")
_BLOCK: Final = 1 << 20


def weights_digest(source: str) -> str:
    """Return the digest of a model's weights; ``source`` may be that itself.

    Else it is a folder, or a hub id that was downloaded before. Raises ``BundleError``.
    """
    if _DIGEST.fullmatch(source):
        return source
    folder = Path(source) if Path(source).is_dir() else _downloaded(source)
    files = next((found for kind in _KINDS if (found := sorted(folder.glob(kind)))), None)
    if files is None:
        raise BundleError(f"{source}: has no weights, *.safetensors or *.bin")
    digest = hashlib.sha256()
    for path in files:
        with path.open("rb") as file:
            while block := file.read(_BLOCK):
                digest.update(block)
    return digest.hexdigest()


def _downloaded(source: str) -> Path:
    """Return where a model of the hub lies on this machine."""
    from huggingface_hub import snapshot_download  # noqa: PLC0415 - slow, and seldom wanted
    from huggingface_hub.errors import HFValidationError, LocalEntryNotFoundError  # noqa: PLC0415

    try:
        return Path(snapshot_download(source, local_files_only=True))
    except (HFValidationError, LocalEntryNotFoundError) as error:
        raise BundleError(
            f"{source}: is no folder here, and no model of the hub that was downloaded; name "
            "either, or the SHA-256 of its weights"
        ) from error
