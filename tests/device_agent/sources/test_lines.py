"""Prompts from a file or a pipe, one a line; answers in order, as soon as they are there."""

from __future__ import annotations

import asyncio
import io
import json
import os
import sys
import time
from typing import IO, TYPE_CHECKING, Any

import pytest

from device_agent.settings import DeviceSettings
from device_agent.settings.sources import LinesSource
from device_agent.sources.lines import LinesStream
from device_agent.sources.priority_semaphore import PrioritySemaphore
from shared.agent.settings import TierSettings
from shared.errors import SettingsError
from shared.settings.file import convert
from tests.support.cascades import EASY, Cascade, cascade
from tests.support.fakes import FAILS
from tests.support.processes import ROOT
from tests.support.wires import MemoryWire, eventually

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from device_agent import Device

ALONE = TierSettings(name="device")


@pytest.fixture
async def tiers() -> AsyncIterator[Cascade]:
    async with cascade(MemoryWire()) as running:
        yield running


@pytest.fixture
async def device(tiers: Cascade) -> Device:
    return await tiers.device(tier=ALONE, knows_above=False)


async def answer_lines(device: Device, path: str, out: IO[str], **settings: Any) -> int:
    """Answer the lines of one source until its end; return how many failed."""
    source = LinesSource(path=path, in_flight=4, **settings)
    return await LinesStream("told", source, device, PrioritySemaphore(1000), out).run()


def printed(out: io.StringIO) -> list[dict[str, Any]]:
    return [json.loads(line) for line in out.getvalue().splitlines()]


async def test_every_line_is_answered_in_order(device: Device, tmp_path: Path) -> None:
    file = tmp_path / "prompts.txt"
    file.write_text("".join(f"prompt {number}\n" for number in range(50)), encoding="utf-8")
    out = io.StringIO()

    failures = await answer_lines(device, str(file), out)

    assert failures == 0
    answers = printed(out)
    assert len(answers) == 50
    assert all(answer["label"] == "device-1" for answer in answers)
    model = device.parts.batcher.model
    assert model.seen[1:] == [f"prompt {number}" for number in range(50)]  # type: ignore[attr-defined]


async def test_empty_lines_are_passed_over_and_bad_ones_fail_alone(
    device: Device, tmp_path: Path
) -> None:
    file = tmp_path / "prompts.txt"
    file.write_bytes(
        b"\n  \nfirst\r\n\xff\xfe\n" + FAILS.encode() + b"\n" + b"x" * 70_000 + b"\nlast"
    )
    out = io.StringIO()

    failures = await answer_lines(device, str(file), out)

    assert failures == 3
    assert [answer.get("error", "fine") for answer in printed(out)] == [
        "fine",
        "invalid_prompt",
        "model_failed",
        "invalid_prompt",
        "fine",
    ]
    assert printed(out)[1]["reason"] == "the line is not UTF-8"


async def test_an_answer_is_printed_before_the_next_line_is_there(device: Device) -> None:
    reading, writing = os.pipe()
    out = io.StringIO()
    answering = asyncio.create_task(answer_lines(device, f"/dev/fd/{reading}", out))

    for number in range(1, 4):
        os.write(writing, f"prompt {number}\n".encode())
        await eventually(lambda number=number: len(printed(out)) == number)  # type: ignore[misc]

    os.close(writing)
    assert await answering == 0
    os.close(reading)


async def test_no_more_lines_are_under_way_than_allowed(
    device: Device, tiers: Cascade, tmp_path: Path
) -> None:
    file = tmp_path / "prompts.txt"
    file.write_text("prompt\n" * 100, encoding="utf-8")
    model = tiers.models["device-1"]
    model.hold()

    answering = asyncio.create_task(answer_lines(device, str(file), io.StringIO()))
    await eventually(lambda: model.busy)
    await asyncio.sleep(0.1)
    under_way = device.parts.batcher.waiting
    model.release()

    assert await answering == 0
    assert under_way <= 4


async def test_a_file_that_cannot_be_read_is_named(device: Device, tmp_path: Path) -> None:
    for path in (tmp_path / "nowhere.txt", tmp_path):
        with pytest.raises(SettingsError, match=rf"path: {path} cannot be read"):
            await answer_lines(device, str(path), io.StringIO())


async def test_standard_input_that_stays_open_does_not_keep_the_process() -> None:
    """As a program of its own, since only a process can end without its threads."""
    program = f"""
import asyncio, io, sys
sys.path.insert(0, {str(ROOT)!r})
from tests.support.cascades import cascade
from tests.device_agent.sources.test_lines import ALONE, answer_lines
from tests.support.wires import MemoryWire
async def main():
    async with cascade(MemoryWire()) as tiers:
        device = await tiers.device(tier=ALONE, knows_above=False)
        reading = asyncio.create_task(answer_lines(device, "-", sys.stdout))
        await asyncio.wait({{reading}}, timeout=1.0)
asyncio.run(main())
print("ended", flush=True)
"""
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-c",
        program,
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    assert process.stdin is not None
    assert process.stdout is not None
    assert process.stderr is not None
    process.stdin.write(EASY.encode() + b"\n")
    output = await asyncio.wait_for(process.stdout.read(), 60)
    errors = await process.stderr.read()
    process.stdin.close()

    assert b'"label":"device-1"' in output
    assert output.rstrip().endswith(b"ended")
    assert await process.wait() == 0, errors
    assert b"Traceback" not in errors
    assert b"Fatal" not in errors


async def test_a_source_of_lines_may_be_paced(device: Device, tmp_path: Path) -> None:
    file = tmp_path / "prompts.txt"
    file.write_text("prompt\n" * 6, encoding="utf-8")
    begun_s = time.monotonic()

    assert await answer_lines(device, str(file), io.StringIO(), prompts_s=20.0) == 0

    assert time.monotonic() - begun_s >= 5 / 20


class Closed(io.StringIO):
    """An output whose reader has gone, as that of ``| head -1``."""

    def flush(self) -> None:
        raise BrokenPipeError(32, "Broken pipe")


@pytest.mark.parametrize("lines", [1, 100])
async def test_an_output_that_nobody_reads_ends_the_source(
    device: Device, tmp_path: Path, lines: int
) -> None:
    file = tmp_path / "prompts.txt"
    file.write_text("prompt\n" * lines, encoding="utf-8")

    with pytest.raises(SettingsError, match=r"sources\.told: answers cannot be printed"):
        await asyncio.wait_for(answer_lines(device, str(file), Closed()), 30)


def test_standard_input_is_read_by_one_source_only() -> None:
    settings = {
        "agent": "device-1",
        "tier": {"name": "device"},
        "model": {"source": "none"},
        "sources": {name: {"kind": "lines", "path": "-"} for name in ("first", "second")},
    }
    with pytest.raises(SettingsError, match="two sources read standard input"):
        convert(DeviceSettings, settings, "here")
