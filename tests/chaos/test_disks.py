"""Disks that are really small and that really stand still, where one may be mounted."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

import pytest

from chaos import disks
from chaos.disks import Disk, NoDisk

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


def mounted(disk: Disk, folder: Path) -> Iterator[Path]:
    try:
        disk.mount(folder)
    except NoDisk as error:
        pytest.skip(str(error))
    yield folder
    disks.thaw(folder)
    disks.unmount(folder)
    assert not folder.is_mount()


@pytest.fixture
def small(tmp_path: Path) -> Iterator[Path]:
    yield from mounted(Disk("device", kilobytes=64), tmp_path / "disk")


@pytest.fixture
def freezing(tmp_path: Path) -> Iterator[Path]:
    yield from mounted(Disk("device", freezes=True), tmp_path / "disk")


def test_a_small_disk_is_full_until_it_is_cleared(small: Path) -> None:
    disks.fill(small)
    with pytest.raises(OSError, match="No space"), (small / "more").open("wb", 0) as file:
        file.write(bytes(8_192))
    disks.clear(small)
    (small / "more").write_bytes(bytes(8_192))


def test_who_writes_to_a_frozen_disk_waits_until_it_goes_on(freezing: Path) -> None:
    disks.freeze(freezing)
    writing = threading.Thread(target=(freezing / "x").write_bytes, args=(b"x",), daemon=True)
    writing.start()
    writing.join(0.2)
    assert writing.is_alive()
    disks.thaw(freezing)
    writing.join(10)
    assert (freezing / "x").read_bytes() == b"x"
