"""What a device died of too often, and what it cannot read, lies with its dead letters."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any
from uuid import UUID, uuid4

import pytest

from device_agent.delivery.outbox_file import OutboxRow
from device_agent.delivery.quarantine import PoisonGuard
from shared.agent.settings import LimitSettings
from shared.errors import Quarantined
from shared.messages import Failure, Prompt
from shared.storage.dead_letters import DeadLetter, DeadLetters
from tests.device_agent.delivery.test_attempts import KILLS, die
from tests.support.cascades import EASY, cascade
from tests.support.installations import recserve
from tests.support.processes import ROOT
from tests.support.wires import MemoryWire

if TYPE_CHECKING:
    import subprocess
    from pathlib import Path


def opened(folder: Path) -> PoisonGuard:
    return PoisonGuard(folder, "device-1", attempts=2)


def prompt(text: str, number: int = 1) -> Prompt:
    return Prompt(UUID(int=number), "device-1", "classify", text, 1e9)


async def letters(folder: Path) -> list[DeadLetter]:
    file = DeadLetters.open(folder, "device-1")
    found = await file.all()
    await file.close()
    return found


def deadletters(folder: Path, *words: str) -> subprocess.CompletedProcess[str]:
    config = ["--config", str(ROOT / "configs" / "device-streams.yaml")]
    return recserve("deadletters", *words, *config, "--set", f"state={folder}")


async def test_a_text_is_tried_as_often_as_the_settings_say(tmp_path: Path) -> None:
    file = tmp_path / "device-1.attempts"
    die(file, KILLS)
    first = opened(tmp_path)
    await first.check(prompt(KILLS))
    await first.close()
    die(file, KILLS)

    second = opened(tmp_path)
    with pytest.raises(Quarantined, match="put aside: the device died at it 2 times"):
        await second.check(prompt(KILLS))
    await second.check(prompt("another text"))
    await second.close()

    (letter,) = await letters(tmp_path)
    assert (letter.text, letter.attempts, letter.origin) == (KILLS, 2, "device-1")


async def test_it_stays_aside_and_makes_one_letter_however_often_it_comes(tmp_path: Path) -> None:
    for _ in range(2):
        die(tmp_path / "device-1.attempts", KILLS)
    for number in range(4):
        aside = opened(tmp_path)
        with pytest.raises(Quarantined):
            await aside.check(prompt(KILLS, number))
        await aside.close()

    assert [letter.id.int for letter in await letters(tmp_path)] == [0]


async def test_purged_it_is_tried_again_by_the_next_run(tmp_path: Path) -> None:
    for _ in range(2):
        die(tmp_path / "device-1.attempts", KILLS)
    aside = opened(tmp_path)
    with pytest.raises(Quarantined):
        await aside.check(prompt(KILLS))
    await aside.close()

    purged = await asyncio.to_thread(deadletters, tmp_path, "purge", "--all")

    assert purged.stdout == "1 purged\n"
    again = opened(tmp_path)
    await again.check(prompt(KILLS))
    await again.close()


async def test_a_row_that_cannot_be_read_is_shown_and_not_replayed(tmp_path: Path) -> None:
    aside = opened(tmp_path)
    assert await aside.row(
        OutboxRow(uuid4(), b"\x93\xffthe pump rattles", None), "not of this version"
    )
    await aside.close()

    listed = await asyncio.to_thread(deadletters, tmp_path, "list", "--json")
    replayed = await asyncio.to_thread(deadletters, tmp_path, "replay", "--all")

    assert r"\\x93\\xffthe pump rattles" in listed.stdout
    assert "not of this version" in listed.stdout
    assert replayed.returncode == 1
    assert "not a prompt that could be read" in " ".join(replayed.stdout.split())
    assert len(await letters(tmp_path)) == 1


async def test_a_device_answers_what_stands_behind_a_text_that_killed_it(tmp_path: Path) -> None:
    for _ in range(3):
        die(tmp_path / "device-1.attempts", KILLS)
    changes: dict[str, Any] = {"state": str(tmp_path), "limits": LimitSettings(attempts=3)}
    async with cascade(MemoryWire()) as tiers:
        device = await tiers.device(knows_above=False, **changes)

        killed, behind = await asyncio.gather(device.ask(KILLS), device.ask(EASY))

        assert isinstance(killed.outcome, Failure)
        assert killed.outcome.code == "quarantined"
        assert str(tmp_path) not in killed.outcome.reason
        assert behind.tier == "device"
        assert KILLS not in tiers.models["device-1"].seen
