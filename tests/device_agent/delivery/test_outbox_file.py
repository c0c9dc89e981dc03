from __future__ import annotations

import asyncio
import random
import signal
import subprocess
import sys
from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING
from uuid import UUID, uuid4

import pytest

from device_agent.delivery.outbox_file import OutboxFile, OutboxRow
from shared.errors import SettingsError, StoreError, StoreFull
from tests.support import outbox_child
from tests.support.outbox_child import payload_of
from tests.support.processes import ROOT
from tests.support.small_disk import fill, small_disk

if TYPE_CHECKING:
    from pathlib import Path

MEGABYTE = 1 << 20


def opened(folder: Path | None, *, limit_bytes: int = MEGABYTE) -> OutboxFile:
    return OutboxFile.open(folder, "device-1", limit_bytes=limit_bytes)


async def test_a_stored_prompt_is_found_by_the_next_run(tmp_path: Path) -> None:
    waiting, settled = uuid4(), uuid4()
    outbox = opened(tmp_path)
    await outbox.store(waiting, b"one")
    await outbox.store(settled, b"two")
    assert await outbox.resolve(settled, b"result")
    await outbox.close()

    again = opened(tmp_path)

    assert list(again.recovered()) == [
        OutboxRow(waiting, b"one", None),
        OutboxRow(settled, b"two", b"result"),
    ]
    await again.close()


async def test_the_file_is_named_after_the_agent(tmp_path: Path) -> None:
    await opened(tmp_path).close()

    assert (tmp_path / "device-1.outbox.sqlite").stat().st_mode & 0o777 == 0o600


async def test_a_prompt_is_settled_once() -> None:
    prompt_id, outbox = uuid4(), opened(None)
    await outbox.store(prompt_id, b"prompt")

    won = await asyncio.gather(*(outbox.resolve(prompt_id, bytes([rival])) for rival in range(20)))

    assert won == [True, *[False] * 19]
    assert list(outbox.recovered()) == [OutboxRow(prompt_id, b"prompt", bytes([0]))]
    await outbox.close()


async def test_what_was_never_stored_cannot_be_settled() -> None:
    outbox = opened(None)

    assert not await outbox.resolve(uuid4(), b"result")
    await outbox.close()


async def test_storing_again_does_not_unsettle() -> None:
    prompt_id, outbox = uuid4(), opened(None)
    await outbox.store(prompt_id, b"prompt")
    await outbox.resolve(prompt_id, b"result")

    await outbox.store(prompt_id, b"prompt")

    assert list(outbox.recovered()) == [OutboxRow(prompt_id, b"prompt", b"result")]
    await outbox.close()


async def test_a_forgotten_prompt_is_gone(tmp_path: Path) -> None:
    prompt_id, outbox = uuid4(), opened(tmp_path)
    await outbox.store(prompt_id, b"prompt")

    outbox.forget(prompt_id)
    await outbox.close()

    again = opened(tmp_path)
    assert list(again.recovered()) == []
    await again.close()


async def test_many_askers_share_syncs(tmp_path: Path) -> None:
    outbox = opened(tmp_path)

    await asyncio.gather(*(outbox.store(uuid4(), b"prompt") for _ in range(400)))

    assert len(list(outbox.recovered())) == 400
    assert outbox.journal.commits <= 40
    await outbox.close()


@pytest.mark.parametrize("payload_bytes", [120, 300, 500, 700, 4_000])
async def test_a_full_outbox_still_settles_and_forgets_what_it_accepted(
    tmp_path: Path, payload_bytes: int
) -> None:
    outbox = opened(tmp_path, limit_bytes=256 << 10)
    with pytest.raises(StoreFull, match=r"device-1\.outbox\.sqlite: its room for prompts is full"):
        await asyncio.gather(*(outbox.store(uuid4(), b"p" * payload_bytes) for _ in range(2_000)))
    stored = [row.id for row in outbox.recovered()]

    results = [b"r" * payload_bytes] * len(stored)
    settled = await asyncio.gather(*map(outbox.resolve, stored, results))
    for each in stored:
        outbox.forget(each)
    await outbox.store(uuid4(), b"p" * payload_bytes)

    assert len(stored) > 16_000 // payload_bytes
    assert all(settled)
    assert len(list(outbox.recovered())) == 1
    await outbox.close()


async def test_a_full_outbox_is_full_after_a_restart_too_and_empties(tmp_path: Path) -> None:
    outbox = opened(tmp_path, limit_bytes=256 << 10)
    with pytest.raises(StoreFull):
        await asyncio.gather(*(outbox.store(uuid4(), b"p" * 300) for _ in range(2_000)))
    await outbox.close()

    again = opened(tmp_path, limit_bytes=256 << 10)
    with pytest.raises(StoreFull):
        await again.store(uuid4(), b"p")
    for row in list(again.recovered()):
        again.forget(row.id)
    await again.store(uuid4(), b"p")

    assert len(list(again.recovered())) == 1
    await again.close()


async def test_a_full_disk_refuses_prompts_and_keeps_the_accepted(tmp_path: Path) -> None:
    with small_disk(tmp_path / "disk", kilobytes=1024) as disk:
        outbox, first = opened(disk, limit_bytes=64 * MEGABYTE), uuid4()
        await outbox.store(first, b"prompt")
        ballast = fill(disk)

        told = await asyncio.gather(
            *(outbox.store(uuid4(), b"p" * 2_000) for _ in range(300)), return_exceptions=True
        )

        assert any(isinstance(each, StoreFull) for each in told)
        assert all(each is None or isinstance(each, StoreError) for each in told)
        assert len(list(outbox.recovered())) == 1 + told.count(None)
        outbox.forget(first)
        ballast.unlink()
        await outbox.store(uuid4(), b"there is room again")
        assert first not in {row.id for row in outbox.recovered()}
        await outbox.close()


def test_a_folder_that_is_missing_is_named(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match=r"nowhere/device-1\.outbox\.sqlite: cannot be opened"):
        opened(tmp_path / "nowhere")


@pytest.mark.slow
async def test_every_promise_outlives_kill_9(tmp_path: Path) -> None:
    draw, ledger = random.Random(9), Ledger()
    checked = Counter[str]()
    for seed in range(12):
        _run_and_kill(tmp_path, seed, ledger, after_lines=draw.randint(1, 3_000))
        outbox = opened(tmp_path)
        rows = {row.id: row for row in outbox.recovered()}
        await outbox.close()

        for prompt_id in ledger.stored - ledger.forgetting:
            assert prompt_id in rows
            checked["stored"] += 1
        for prompt_id, result in ledger.settled.items():
            if prompt_id not in ledger.forgetting:
                assert rows[prompt_id].result == result
                checked["settled"] += 1
        assert rows.keys() <= ledger.storing
        assert all(row.payload == payload_of(row.id) for row in rows.values())
    assert checked["stored"] > 200
    assert checked["settled"] > 50


@dataclass
class Ledger:
    """What the children said, by prompt: what they had been promised, and what they were up to."""

    storing: set[UUID] = field(default_factory=set)
    stored: set[UUID] = field(default_factory=set)
    settled: dict[UUID, bytes] = field(default_factory=dict)
    forgetting: set[UUID] = field(default_factory=set)

    def note(self, line: str) -> None:
        """Enter a line of a child."""
        verb, name, *result = line.split()
        prompt_id = UUID(name)
        if verb == "settled":
            assert prompt_id not in self.settled, "settled twice"
            self.settled[prompt_id] = result[0].encode()
        else:
            getattr(self, verb).add(prompt_id)


def _run_and_kill(folder: Path, seed: int, ledger: Ledger, *, after_lines: int) -> None:
    """Kill a child in the middle of its work, once it has said so many lines."""
    command = [sys.executable, "-m", outbox_child.__name__, str(folder), str(seed)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, cwd=ROOT) as child:
        assert child.stdout is not None
        for count, line in enumerate(child.stdout):
            if line.endswith(b"\n"):
                ledger.note(line.decode())
            if count == after_lines:
                child.kill()
    assert child.returncode == -signal.SIGKILL
