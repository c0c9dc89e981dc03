"""What a machine says of itself is what the system says."""

from __future__ import annotations

import os
import shutil
from typing import TYPE_CHECKING

from shared.nodes.machine import disk_of, memory_in_use, this_machine

if TYPE_CHECKING:
    from pathlib import Path


def test_a_machine_knows_its_cores_memory_and_engines() -> None:
    machine = this_machine()

    assert machine.cores == len(os.sched_getaffinity(0))
    assert machine.memory_bytes == os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    assert machine.processor
    assert machine.engines["onnxruntime"]


def test_a_folder_that_is_not_there_yet_is_on_the_disk_of_the_one_above(tmp_path: Path) -> None:
    total, free = disk_of(tmp_path / "not" / "there")

    assert total == shutil.disk_usage(tmp_path).total
    assert 0 < free <= total


def test_a_process_knows_the_memory_it_holds() -> None:
    before = memory_in_use()
    ballast = bytearray(b"x" * 64_000_000)

    assert memory_in_use() - before > 40_000_000
    assert ballast
