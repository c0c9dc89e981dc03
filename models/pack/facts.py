"""What a model's folder tells about how it was made."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

from shared.errors import BundleError


@dataclass(frozen=True)
class Facts:
    """Where a model came from. Empty where nothing is known."""

    source: str
    description: str = ""
    trained_on: tuple[str, ...] = ()


def read_facts(source: str) -> Facts:
    """Read ``training.json`` in the model's folder, if there is one.

    Used are the keys ``base`` (the model it started from), ``description`` and ``data_rows``
    (rows of each training file). A local folder's own path is nobody else's business, so without
    a base only its last part is given. Raises ``BundleError`` when the file is no JSON object.
    """
    folder = Path(source)
    if not folder.is_dir():
        return Facts(source)
    path = folder / "training.json"
    record = _read_object(path) if path.is_file() else {}
    rows = record.get("data_rows")
    return Facts(
        source=str(record.get("base") or folder.resolve().name),
        description=str(record.get("description") or ""),
        trained_on=tuple(f"{name}: {count} rows" for name, count in rows.items())
        if isinstance(rows, dict)
        else (),
    )


def _read_object(path: Path) -> dict[str, object]:
    try:
        record = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise BundleError(f"{path}: is not JSON ({error}); correct or remove it") from error
    if not isinstance(record, dict):
        raise BundleError(f"{path}: must hold a JSON object; correct or remove it")
    return record
