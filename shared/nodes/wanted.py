"""What an agent makes of what is wanted of it: take it, or refuse it and say why.

The floor of a model is the highest serial of it that was ever put to work here. Below it there is
one way back: the ``base`` that the authority itself named when it signed what is there now.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from shared.errors import BundleError

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from shared.wire.control import Desired
    from shared.wire.manifest import ShippedBundle


def is_stale(desired: Desired, known: Desired | None) -> bool:
    """Say whether a wish is older than one that was heard in this life of the process."""
    return known is not None and desired.generation < known.generation


def check_order(bundle: ShippedBundle, floors: Mapping[str, int], bases: Mapping[str, str]) -> None:
    """Raise ``BundleError`` for a bundle that is older than what this agent has come to."""
    floor = floors.get(bundle.name, 0)
    if bundle.serial >= floor or bases.get(bundle.name) == bundle.digest:
        return
    raise BundleError(
        f"the manifest of {bundle.name} {bundle.version} is rolled back: its serial is "
        f"{bundle.serial}, and {floor} was here; have it signed again to go back to it"
    )


def raised(
    bundle: ShippedBundle, floors: Mapping[str, int], bases: Mapping[str, str]
) -> tuple[dict[str, int], dict[str, str]]:
    """Return the floors and bases once a bundle is at work."""
    floor = floors.get(bundle.name, 0)
    if bundle.serial < floor:
        return dict(floors), dict(bases)
    return (
        dict(floors) | {bundle.name: bundle.serial},
        dict(bases) | {bundle.name: bundle.base},
    )


def check_disk(needed: int, free: int, reserve: int) -> None:
    """Raise ``BundleError`` where a bundle would leave less than the reserve on the disk."""
    if needed + reserve > free:
        raise BundleError(
            f"{needed} bytes are to be fetched and {free} are free, of which {reserve} stay free "
            "(node.reserve_megabytes)"
        )


def check_memory(size_bytes: int, megabytes: int) -> None:
    """Raise ``BundleError`` for a bundle that does not even fit alone; 0: any does."""
    if megabytes and size_bytes > megabytes << 20:
        raise BundleError(
            f"the bundle has {size_bytes} bytes, and models may have {megabytes << 20} here "
            "(node.memory_megabytes)"
        )


def fit_together(folders: Iterable[str], megabytes: int) -> bool:
    """Say whether the models of these folders fit in memory together, by the size of their files.

    Any do where ``megabytes`` is 0.
    """
    return not megabytes or sum(map(_size_of, folders)) <= megabytes << 20


def _size_of(folder: str) -> int:
    """Return the bytes of a model's files; none for one that is no folder here."""
    try:
        return sum(file.stat().st_size for file in Path(folder).iterdir() if file.is_file())
    except OSError:
        return 0
