"""Logs are one JSON object a line unless a person looks, and never tell what was asked at info."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from tests.support.processes import ROOT
from tests.support.small_disk import fill, small_disk

if TYPE_CHECKING:
    from pathlib import Path

ASKED = "the patient in room five"


def lines(program: str) -> list[str]:
    """What a program of its own logs: configuration is for a whole process."""
    whole = f"import sys; sys.path.insert(0, {str(ROOT)!r})\n" + program
    ran = subprocess.run([sys.executable, "-c", whole], capture_output=True, text=True, check=True)
    assert ran.stdout == ""
    return ran.stderr.splitlines()


def test_events_are_json_lines_that_parse() -> None:
    printed = lines(
        "from shared.telemetry import log\n"
        "from shared.telemetry.log import LogSettings\n"
        "early = log.get_logger()\n"
        "log.configure(LogSettings())\n"
        "early.debug('not shown')\n"
        "early.info('prompt judged', id='7', confidence=0.25, odd={1: object})\n"
        "log.get_logger().warning('a line\\nbreak', text='größer')\n"
        "try: 1 / 0\n"
        "except ZeroDivisionError: log.get_logger().exception('it broke')\n"
    )
    judged, broken_line, broke = (json.loads(line) for line in printed)
    assert (judged["event"], judged["level"]) == ("prompt judged", "info")
    assert (judged["id"], judged["confidence"]) == ("7", 0.25)
    assert judged["timestamp"].endswith("Z")
    assert (broken_line["event"], broken_line["text"]) == ("a line\nbreak", "größer")
    assert "ZeroDivisionError" in broke["exception"]


def test_the_level_and_the_form_can_be_chosen() -> None:
    printed = lines(
        "from shared.telemetry import log\n"
        "from shared.telemetry.log import LogSettings\n"
        "log.configure(LogSettings(level='warning', format='console'))\n"
        "log.get_logger().info('hidden')\n"
        "log.get_logger().warning('shown', key='value')\n"
    )
    assert len(printed) == 1
    assert "shown" in printed[0]
    assert not printed[0].startswith("{")


@pytest.mark.parametrize("form", ["json", "console"])
def test_no_prompts_text_is_logged_at_info(form: str) -> None:
    printed = lines(
        "import asyncio\n"
        "from shared.telemetry import log\n"
        "from shared.telemetry.log import LogSettings\n"
        "from tests.support.cascades import EASY, HARD, cascade\n"
        "from tests.support.fakes import BREAKS, FAILS\n"
        "from tests.support.wires import MemoryWire\n"
        f"log.configure(LogSettings(level='info', format={form!r}))\n"
        f"asked = [EASY, HARD, FAILS, BREAKS, {ASKED!r}, {ASKED!r} * 10_000, {ASKED!r} + BREAKS]\n"
        "async def main():\n"
        "    async with cascade(MemoryWire()) as tiers:\n"
        "        await tiers.cloud()\n"
        "        await tiers.edge()\n"
        "        device = await tiers.device()\n"
        "        await asyncio.gather(*(device.ask(text) for text in asked))\n"
        "asyncio.run(main())\n"
    )
    assert sum("prompt judged" in line for line in printed) >= 5
    assert any("the model broke" in line for line in printed)
    assert ASKED not in "".join(printed)


LOGGER = (
    "import sys; sys.path.insert(0, {root!r})\n"
    "from shared.telemetry import log\n"
    "from shared.telemetry.log import LogSettings\n"
    "log.configure(LogSettings(format='json'))\n"
)


def program(rest: str) -> list[str]:
    return [sys.executable, "-c", LOGGER.format(root=str(ROOT)) + rest]


def test_the_last_lines_before_an_exit_are_written() -> None:
    printed = lines(
        LOGGER.format(root=str(ROOT)) + "for number in range(5_000):\n"
        "    log.get_logger().info('one of many', number=number)\n"
        "sys.exit(0)\n"
    )

    assert [json.loads(line)["number"] for line in printed] == list(range(5_000))


def test_what_other_libraries_log_takes_the_same_way() -> None:
    (printed,) = lines(
        LOGGER.format(root=str(ROOT)) + "import logging\n"
        "logging.getLogger('asyncio').warning('slow')\n"
    )

    assert "slow" in printed


@pytest.mark.parametrize("closed", ["2>&-", "2>/dev/full"])
def test_a_log_that_goes_nowhere_is_counted_and_harms_nobody(closed: str) -> None:
    said = program(
        "for _ in range(100): log.get_logger().info('unheard')\n"
        "log.flush_log(10)\n"
        "print(log.dropped_lines())\n"
    )

    ran = subprocess.run(
        ["sh", "-c", f'exec "$@" {closed}', "sh", *said], stdout=subprocess.PIPE, check=True
    )

    assert int(ran.stdout) == 100


def test_a_reader_that_went_away_ends_nothing() -> None:
    reader, writer = os.pipe()
    os.close(reader)

    ran = subprocess.run(
        program(
            "log.get_logger().error('unheard')\nlog.flush_log(10)\nprint(log.dropped_lines())\n"
        ),
        stdout=subprocess.PIPE,
        stderr=writer,
        check=True,
    )

    os.close(writer)
    assert int(ran.stdout) == 1


def test_a_reader_that_sleeps_holds_nobody_up_and_hears_of_what_it_missed() -> None:
    logger = program(
        "for number in range(100_000): log.get_logger().info('heard', number=number)\n"
        "print('logged', flush=True)\n"
        "sys.stdin.readline()\n"
        "log.get_logger().info('the last')\n"
    )
    pipe = subprocess.PIPE
    with subprocess.Popen(logger, stdin=pipe, stdout=pipe, stderr=pipe) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        assert process.stderr is not None

        assert process.stdout.readline() == b"logged\n"  # and nobody has read a line so far
        heard = []
        for line in process.stderr:
            heard.append(json.loads(line))
            if heard[-1]["event"] == "log lines dropped":
                process.stdin.close()

    numbers = [each["number"] for each in heard if each["event"] == "heard"]
    (dropped,) = (each["lines"] for each in heard if each["event"] == "log lines dropped")
    assert numbers == list(range(len(numbers)))
    assert len(numbers) + dropped == 100_000
    assert heard[-1]["event"] == "the last"


def test_a_disk_that_has_room_again_is_written_to_again(tmp_path: Path) -> None:
    with small_disk(tmp_path / "disk", kilobytes=64) as disk, (disk / "log").open("wb") as log:
        ballast = fill(disk)
        log.seek(0, os.SEEK_END)
        logger = program(
            "import os\n"
            "for number in range(2_000): log.get_logger().info('no room', number=number)\n"
            "log.flush_log(10)\n"
            f"os.unlink({str(ballast)!r})\n"
            "log.get_logger().info('room')\n"
        )
        subprocess.run(logger, stderr=log, check=True)

        events = [json.loads(line)["event"] for line in whole_lines(disk / "log")]
        assert events[-2:] == ["room", "log lines dropped"]


def whole_lines(path: Path) -> list[str]:
    """Return the lines that were not cut off."""
    return [line for line in path.read_text().splitlines() if line.endswith("}")]
