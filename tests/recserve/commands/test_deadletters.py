"""``recserve deadletters`` as a person types it, on the file of an edge agent."""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import json
import os
import signal
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING
from uuid import UUID

import pytest

from recserve.sandbox import Failed, SandboxAnswer, run_apart
from shared.messages import Prompt
from shared.runtimes import ModelSettings
from shared.storage.dead_letters import DeadLetter, DeadLetters
from shared.storage.results import ResultStore
from tests.support.installations import recserve
from tests.support.processes import ROOT

if TYPE_CHECKING:
    import subprocess

CONFIG = str(ROOT / "configs" / "edge.yaml")
MODEL = ModelSettings(source=str(ROOT / "models" / "bundles" / "sentiment-edge"))
RED = "\x1b[31m"


def letter(
    number: int, text: str = "a dull film", *, origin: str = "device-1", on: str = "2026-01-31"
) -> DeadLetter:
    return DeadLetter(
        origin=origin,
        id=UUID(int=number << 96),
        task="classify",
        text=text,
        reason="three attempts, none finished",
        attempts=3,
        sha256=hashlib.sha256(text.encode()).hexdigest(),
        quarantined_at=f"{on}T12:00:00+00:00",
    )


def opened(folder: Path) -> ResultStore:
    return ResultStore.open(folder, "edge-1", limit_bytes=1 << 20, keep_s=60)


def put_aside(folder: Path, *letters: DeadLetter) -> None:
    async def put() -> None:
        store = opened(folder)
        for each in letters:
            await store.attempt((each.origin, each.id))
            await DeadLetters(store.journal).quarantine(each)
        await store.close()

    asyncio.run(put())


def left(folder: Path) -> list[DeadLetter]:
    async def read() -> list[DeadLetter]:
        store = opened(folder)
        letters = await DeadLetters(store.journal).all()
        await store.close()
        return letters

    return asyncio.run(read())


def deadletters(folder: Path, *words: str) -> subprocess.CompletedProcess[str]:
    return recserve("deadletters", *words, "--config", CONFIG, "--set", f"state={folder}")


def test_a_list_is_a_table_with_short_ids(tmp_path: Path) -> None:
    put_aside(tmp_path, letter(0xA1), letter(0xB2, origin="device-2"))

    ran = deadletters(tmp_path, "list")

    assert ran.returncode == 0, ran.stderr
    assert "000000a1" in ran.stdout
    assert "device-2" in ran.stdout
    assert "dull film" not in ran.stdout


def test_a_list_as_json_is_whole_and_one_line_each(tmp_path: Path) -> None:
    put_aside(tmp_path, letter(1), letter(2, f"{RED}\n"))

    ran = deadletters(tmp_path, "list", "--json")

    first, second = (json.loads(line) for line in ran.stdout.splitlines())
    assert first["id"] == str(letter(1).id)
    assert second["text"] == f"{RED}\n"


def test_an_empty_list_says_so(tmp_path: Path) -> None:
    put_aside(tmp_path)

    assert deadletters(tmp_path, "list").stdout == "no dead letters\n"


def test_one_is_shown_by_the_beginning_of_its_id(tmp_path: Path) -> None:
    put_aside(tmp_path, letter(0xA1), letter(0xA2, "what a\nfilm"))

    ran = deadletters(tmp_path, "show", "000000A2")

    assert "what a\nfilm\n" in ran.stdout
    assert letter(0xA2, "what a\nfilm").sha256 in ran.stdout
    assert "three attempts, none finished" in ran.stdout


def test_a_text_cannot_steer_the_terminal(tmp_path: Path) -> None:
    put_aside(tmp_path, letter(1, f"{RED}danger\x07"))

    ran = deadletters(tmp_path, "show", "0")

    assert "\\x1b[31mdanger\\x07" in ran.stdout
    assert "\x1b" not in ran.stdout


def test_what_the_model_answers_now_is_printed_and_forgotten(tmp_path: Path) -> None:
    put_aside(tmp_path, letter(1), letter(2))

    ran = deadletters(tmp_path, "replay", "00000001")

    assert ran.returncode == 0, ran.stderr
    assert "negative" in ran.stdout
    assert left(tmp_path) == [letter(2)]
    assert _attempt(tmp_path, letter(1)) == 1
    assert _attempt(tmp_path, letter(2)) == 2


def test_what_the_model_does_not_answer_stays(tmp_path: Path) -> None:
    put_aside(tmp_path, letter(1), letter(2))

    ran = deadletters(tmp_path, "replay", "--all", "--timeout-s", "0.01")

    assert ran.returncode == 1
    assert ran.stdout.count("the model was not done after 0.01 s") == 2
    assert left(tmp_path) == [letter(1), letter(2)]


def test_a_model_that_is_missing_fails_the_letter_in_a_sentence(tmp_path: Path) -> None:
    put_aside(tmp_path, letter(1))

    ran = deadletters(tmp_path, "replay", "--all", "--set", "model.source=/nowhere")

    assert ran.returncode == 1
    assert "failed: /nowhere" in ran.stdout


def test_a_model_that_kills_its_process_kills_nothing_else() -> None:
    watching = threading.Thread(target=_kill_trial)
    watching.start()
    became = run_apart(MODEL, letter(1), timeout_s=60)
    watching.join()

    assert became == Failed("the model's process died: Killed")


def test_a_text_that_is_answered_comes_with_its_confidence() -> None:
    became = run_apart(MODEL, letter(1, "a wonderful film"), timeout_s=60)

    assert isinstance(became, SandboxAnswer)
    assert became.line == "positive"
    assert 0.5 < became.confidence <= 1


def test_a_prompt_is_tried_with_the_options_it_was_asked_with(tmp_path: Path) -> None:
    pytest.importorskip("onnxruntime_genai")
    writer = ModelSettings(
        source=str(ROOT / "models" / "bundles" / "translate-device"), runtime="genai"
    )
    asked = Prompt(UUID(int=1), "d", "generate", "Two dogs run.", 0.0, options={"regex": "Hund"})

    became = run_apart(writer, DeadLetter.of(asked, reason="x", attempts=3), timeout_s=60)

    assert isinstance(became, SandboxAnswer)
    assert became.line == "Hund"

    put_aside(tmp_path, DeadLetter.of(asked, reason="x", attempts=3))
    shown = deadletters(tmp_path, "show", "00000000")
    assert '{"regex":"Hund"}' in shown.stdout


def test_purging_by_id_leaves_the_others(tmp_path: Path) -> None:
    put_aside(tmp_path, letter(1), letter(2), letter(3))

    ran = deadletters(tmp_path, "purge", "00000001", "device-1/00000003")

    assert ran.stdout == "2 purged\n"
    assert left(tmp_path) == [letter(2)]


def test_purging_by_age_leaves_the_younger(tmp_path: Path) -> None:
    young = letter(2, on="2999-01-01")
    put_aside(tmp_path, letter(1, on="2020-01-01"), young)

    ran = deadletters(tmp_path, "purge", "--older-than", "30")

    assert ran.stdout == "1 purged\n"
    assert left(tmp_path) == [young]


def test_purging_all_leaves_none(tmp_path: Path) -> None:
    put_aside(tmp_path, letter(1), letter(2))

    assert deadletters(tmp_path, "purge", "--all").stdout == "2 purged\n"
    assert left(tmp_path) == []


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (("show", "ff"), "edge-1 has no dead letter 'ff'; list shows those it has"),
        (("show", "0000"), "2 dead letters begin with '0000': device-1/00000001-"),
        (("purge",), "say which: some by id, or all"),
        (("purge", "--all", "00000001"), "say which"),
        (("replay",), "say which"),
    ],
)
def test_what_is_not_clear_is_refused_in_one_line(
    tmp_path: Path, words: tuple[str, ...], says: str
) -> None:
    put_aside(tmp_path, letter(1), letter(2))

    ran = deadletters(tmp_path, *words)

    assert ran.returncode == 2
    assert ran.stderr.startswith("error: ")
    assert says in ran.stderr
    assert ran.stderr.count("\n") == 1
    assert len(left(tmp_path)) == 2


def test_an_agent_without_a_state_folder_has_none() -> None:
    ran = recserve("deadletters", "list", "--config", CONFIG, "--set", "state=''")

    assert ran.returncode == 2
    assert "state names no folder, so edge-1 keeps no dead letters" in ran.stderr


def test_a_folder_that_the_agent_never_used_is_named(tmp_path: Path) -> None:
    ran = deadletters(tmp_path, "list")

    assert ran.returncode == 2
    assert f"{tmp_path}/edge-1.results.sqlite: there is no such file" in ran.stderr


def _attempt(folder: Path, dead: DeadLetter) -> int:
    async def count() -> int:
        store = opened(folder)
        attempt = await store.attempt((dead.origin, dead.id))
        await store.close()
        return attempt

    return asyncio.run(count())


def _kill_trial() -> None:
    """Kill the process that tries a text for this one."""
    give_up_s = time.monotonic() + 30
    while time.monotonic() < give_up_s:
        for folder in Path("/proc").glob("[0-9]*"):
            with contextlib.suppress(OSError):
                parent = int((folder / "stat").read_text().rpartition(")")[2].split()[1])
                if (
                    parent == os.getpid()
                    and b"recserve.sandbox" in (folder / "cmdline").read_bytes()
                ):
                    os.kill(int(folder.name), signal.SIGKILL)
                    return
        time.sleep(0.01)
