"""``recserve memory`` as a person types it: on an edge's files, and over a broker."""

from __future__ import annotations

import asyncio
import json
import shutil
import time
from typing import TYPE_CHECKING

import pytest
from click.testing import CliRunner, Result

from edge_agent.memory.days import Days
from edge_agent.memory.desk import MemoryDesk
from edge_agent.memory.door import MemoryDoor
from edge_agent.memory.settings import MemorySettings
from edge_agent.memory.store import FILE, MemoryStore
from edge_agent.memory.worker import MemoryWorker
from recserve.commands.memory import command
from shared.storage.state_dir import hold
from shared.wire.topics import Topics
from tests.support.processes import BrokerProcess, skip_without_program
from tests.support.wires import MqttWire, settled
from tests.support.word_vectors import DIMENSIONS, learn, small_memory, vector_of

if TYPE_CHECKING:
    from pathlib import Path

NOW_S = time.time() - 86_400


def recserve_memory(*words: object) -> Result:
    return CliRunner().invoke(command, [str(word) for word in words])


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """The state folder of an edge that is not running, with two entries."""

    async def write() -> None:
        place = tmp_path / "edge"
        place.mkdir()
        store = MemoryStore.open(place, "digest-1", DIMENSIONS)
        memory = small_memory(store)
        learn(memory, "Who directed Glass River?", "Ida Holm", NOW_S, model="sky", version="v1")
        learn(memory, "Who wrote Night Ferry?", "Lars Berg", NOW_S, model="sky", version="v2")
        await store.close()

    asyncio.run(write())
    return tmp_path / "edge"


def test_a_stopped_edge_is_shown_searched_and_checked(folder: Path) -> None:
    shown = recserve_memory("show", folder)
    found = recserve_memory("search", folder / FILE, "ferry", "--json")
    checked = recserve_memory("check", folder, "--json")

    assert "sky v1: 1" in shown.output
    assert [json.loads(line)["answer"] for line in found.output.splitlines()] == ["Lars Berg"]
    assert (checked.exit_code, json.loads(checked.output)["faults"]) == (0, [])


def test_the_days_of_an_edge_are_a_table_json_and_a_page(folder: Path, tmp_path: Path) -> None:
    async def count() -> None:
        store = MemoryStore.open(folder, "digest-1", DIMENSIONS)
        days = Days(store)
        for day_s in (NOW_S, NOW_S + 86_400):
            days.count(day_s, *["kept.memory"] * 6, *["up.model", "above"] * 3, "right.memory")
            days.count(day_s, above_read=1_000_000, above_written=0)
            days.write(day_s, 2, 0, 900)
        await store.close()

    asyncio.run(count())
    page = tmp_path / "days.html"
    told = recserve_memory("report", folder, "--html", page, "--cloud-price", "0.5", "1", "--json")
    days = json.loads(told.output)["days"]
    drawn = page.read_text(encoding="utf-8")

    assert [(day["questions"], day["cloud_calls"], day["cost"]) for day in days] == [
        (9, 3, 0.5)
    ] * 2
    assert "66.7%" in recserve_memory("report", folder).output
    assert drawn.count("<svg ") == 2
    assert "<td>66.7%</td>" in drawn


def test_what_a_stopped_edge_forgets_is_gone(folder: Path) -> None:
    forgot = recserve_memory("forget", folder, "--version", "v2")

    assert forgot.output == "forgotten: 1\n"
    assert json.loads(recserve_memory("show", folder, "--json").output)["entries"] == 1
    assert b"Night Ferry" not in (folder / FILE).read_bytes()


def test_of_several_edges_each_forgets_and_one_that_cannot_is_named_at_the_end(
    folder: Path, tmp_path: Path
) -> None:
    shutil.copytree(folder, tmp_path / "other")
    words = (folder, tmp_path / "none", tmp_path / "other", "--containing", "ferry")
    ran = recserve_memory("forget", *words)

    assert ran.exit_code == 2
    told, other, fault = ran.output.splitlines()
    assert (told, other) == (f"{folder}: forgotten: 1", f"{tmp_path / 'other'}: forgotten: 1")
    assert fault.startswith("error: not forgotten everywhere: ")
    assert "none: there is no such file" in fault
    assert b"Night Ferry" not in (tmp_path / "other" / FILE).read_bytes()


def test_a_memory_is_exported_and_the_file_says_all_of_it(folder: Path, tmp_path: Path) -> None:
    out = tmp_path / "out.jsonl"

    assert recserve_memory("export", folder, out).output == f"{out}: 2 entries\n"
    rows = [json.loads(line) for line in out.read_text().splitlines()]
    assert [(row["wordings"], row["version"]) for row in rows] == [
        (["Who directed Glass River?"], "v1"),
        (["Who wrote Night Ferry?"], "v2"),
    ]


def test_a_running_edge_s_files_are_read_and_not_changed(folder: Path) -> None:
    with hold(folder / "memory.lock"):
        shown = recserve_memory("show", folder)
        forgot = recserve_memory("forget", folder, "--entry", "1")

    assert shown.exit_code == 0
    assert forgot.exit_code == 2
    assert "another process runs as 'memory'" in forgot.output


@pytest.mark.parametrize(
    ("words", "fault"),
    [
        (("show", "/nowhere/at/all"), "/nowhere/at/all: there is no such file"),
        (("forget",), "name the edge or its folder"),
        (("forget", "FOLDER"), "nothing was named"),
        (("forget", "FOLDER", "--before", "soon"), "--before 'soon' is no date"),
        (("forget", "FOLDER", "--before", "2999-01-01"), "that moment is still to come"),
        (("forget", "FOLDER", "FOLDER", "--entry", "1"), "--entry takes one WHERE"),
        (("forget", "--everywhere", "--entry", "1"), "--everywhere takes --before alone"),
        (("import", "FOLDER", "FOLDER/none.jsonl"), "none.jsonl: cannot be read"),
        (("import", "FOLDER", "FOLDER/bad.jsonl"), "bad.jsonl, line 1: no entry of a memory"),
        (("import", "FOLDER", "FOLDER/good.jsonl"), "name the embedder"),
    ],
)
def test_what_cannot_be_done_is_one_sentence(
    folder: Path, words: tuple[str, ...], fault: str
) -> None:
    recserve_memory("export", folder, folder / "good.jsonl")
    (folder / "bad.jsonl").write_text("{}\n")
    ran = recserve_memory(*(word.replace("FOLDER", str(folder)) for word in words))

    assert ran.exit_code == 2
    assert ran.output.startswith("error: ")
    assert fault in ran.output
    assert ran.output.count("\n") == 1


def test_a_file_half_of_which_is_missing_is_named(folder: Path) -> None:
    content = (folder / FILE).read_bytes()
    (folder / FILE).write_bytes(content[: len(content) // 2])
    ran = recserve_memory("check", folder)

    assert ran.exit_code != 0
    assert "malformed" in ran.output


async def test_a_running_edge_is_asked_over_its_broker(tmp_path: Path) -> None:
    skip_without_program("mosquitto", "mosquitto")
    broker = BrokerProcess("mosquitto", tmp_path / "broker").start()
    wire = MqttWire(broker)
    bus = wire.bus("edge-1")
    store = MemoryStore.open(None, "digest-1", DIMENSIONS)
    worker = MemoryWorker(MemorySettings(), DIMENSIONS, vector_of, store)
    door = MemoryDoor(worker, MemoryDesk(worker.memory, store, worker.embed), store)
    for number in range(120):
        learn(worker.memory, f"Who wrote Book {number}?", f"Author {number}", NOW_S)
    await settled(bus)
    await door.open(bus, Topics(wire.root), "edge-1")
    out, where = tmp_path / "out.jsonl", ("--port", broker.port, "--root", wire.root)

    async def run(*words: object) -> str:
        ran = await asyncio.to_thread(recserve_memory, *words, *where)
        assert ran.exit_code == 0, ran.output
        return ran.output

    assert json.loads(await run("show", "edge-1", "--json"))["entries"] == 120
    assert await run("forget", "edge-1", "--entry", "8") == "forgotten: 1\n"
    assert "119 entries" in await run("export", "edge-1", out)
    assert await run("import", "edge-1", out) == "119 known\n"
    await run("forget", "--everywhere", "--before", "2026-11-27")
    silent = await asyncio.to_thread(
        recserve_memory, "show", "edge-9", *where, "--timeout-s", "0.3"
    )
    assert "edge-9 did not answer" in silent.output
    await door.close()
    await worker.close()
    await store.close()
    await wire.close()
    broker.kill()
