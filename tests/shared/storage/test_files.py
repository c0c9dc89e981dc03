"""Files that are replaced whole, and files that one process holds."""

from __future__ import annotations

import os
import stat
from typing import TYPE_CHECKING

import pytest

from shared.storage.files import lock_alone, write_atomically

if TYPE_CHECKING:
    from pathlib import Path


@pytest.mark.parametrize("durable", [True, False])
def test_a_file_is_replaced_with_its_mode_and_nothing_stays_beside_it(
    tmp_path: Path, durable: bool
) -> None:
    path = tmp_path / "a.json"
    path.write_bytes(b"old")
    path.chmod(0o644)

    write_atomically(path, b"new", mode=0o600, durable=durable)

    assert path.read_bytes() == b"new"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert list(tmp_path.iterdir()) == [path]


def test_the_mode_holds_whatever_the_umask(tmp_path: Path) -> None:
    path = tmp_path / "a.json"
    before = os.umask(0o077)
    try:
        write_atomically(path, b"new")
    finally:
        os.umask(before)

    assert stat.S_IMODE(path.stat().st_mode) == 0o644


def test_what_cannot_be_put_in_place_leaves_nothing_beside_it(tmp_path: Path) -> None:
    place = tmp_path / "a.json"
    place.mkdir()

    with pytest.raises(IsADirectoryError):
        write_atomically(place, b"new")

    assert list(tmp_path.iterdir()) == [place]


def test_what_is_durable_syncs_the_file_before_its_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    synced: list[bool] = []

    def sync(descriptor: int) -> None:
        synced.append(stat.S_ISDIR(os.fstat(descriptor).st_mode))

    monkeypatch.setattr(os, "fsync", sync)

    write_atomically(tmp_path / "a.json", b"new")
    write_atomically(tmp_path / "b.json", b"new", durable=False)

    assert synced == [False, True]


def test_a_locked_file_is_refused_to_others_until_it_is_closed(tmp_path: Path) -> None:
    path = tmp_path / "a.lock"
    first, second = (os.open(path, os.O_RDWR | os.O_CREAT) for _ in range(2))
    try:
        lock_alone(first)
        with pytest.raises(BlockingIOError):
            lock_alone(second)
        os.close(first)
        lock_alone(second)
    finally:
        os.close(second)
