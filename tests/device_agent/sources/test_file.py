"""Prompts from a file that grows."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from device_agent.settings.sources import FileSource
from tests.support.source_places import answers, place
from tests.support.wires import MemoryWire, eventually

if TYPE_CHECKING:
    from pathlib import Path


async def test_a_growing_file_is_followed_over_rotation_and_truncation(tmp_path: Path) -> None:
    log, out = tmp_path / "app.log", tmp_path / "answers.jsonl"
    source = FileSource(path=str(log), answers=str(out))
    async with place(MemoryWire(), sources={"app": source}):
        await asyncio.sleep(0.1)
        log.write_text("one\ntwo\nthr")
        await eventually(lambda: answers(out) == ["one", "two"])
        with log.open("a") as file:
            file.write("ee\n")
        await eventually(lambda: answers(out) == ["one", "two", "three"])
        log.rename(tmp_path / "app.log.1")
        log.write_text("four\n")
        await eventually(lambda: answers(out)[3:] == ["four"])
        log.write_text("5\n")
        await eventually(lambda: answers(out)[4:] == ["5"])


async def test_a_restart_goes_on_after_the_last_answered_line(tmp_path: Path) -> None:
    log, out, state = tmp_path / "app.log", tmp_path / "answers.jsonl", tmp_path / "state"
    source = FileSource(path=str(log), answers=str(out))
    log.write_text("one\ntwo\n")
    for expected in (["one", "two"], ["one", "two", "three"]):
        async with place(MemoryWire(), sources={"app": source}, state=str(state)):
            await eventually(lambda expected=expected: answers(out) == expected)  # type: ignore[misc]
        with log.open("a") as file:
            file.write("three\n")
        if len(expected) == 3:
            break
    assert answers(out) == ["one", "two", "three"]
