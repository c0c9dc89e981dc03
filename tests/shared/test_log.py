"""Logs are one JSON object a line unless a person looks, and never tell what was asked at info."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

from tests.processes import ROOT

ASKED = "the patient in room five"


def lines(program: str) -> list[str]:
    """What a program of its own logs: configuration is for a whole process."""
    whole = f"import sys; sys.path.insert(0, {str(ROOT)!r})\n" + program
    ran = subprocess.run([sys.executable, "-c", whole], capture_output=True, text=True, check=True)
    assert ran.stdout == ""
    return ran.stderr.splitlines()


def test_events_are_json_lines_that_parse() -> None:
    printed = lines(
        "from shared import log\n"
        "from shared.settings import LogSettings\n"
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
        "from shared import log\n"
        "from shared.settings import LogSettings\n"
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
        "from shared import log\n"
        "from shared.settings import LogSettings\n"
        "from tests.cascades import EASY, HARD, cascade\n"
        "from tests.fakes import BREAKS, FAILS\n"
        "from tests.wires import MemoryWire\n"
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
