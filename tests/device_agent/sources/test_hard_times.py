"""Files that move, come back and change, full disks, restarts: the sources go on."""

from __future__ import annotations

import json
import os
from typing import TYPE_CHECKING, Any

import pytest

from device_agent.settings.sources import FileSource, FolderSource, MqttSource
from tests.support.cascades import EASY
from tests.support.fakes import FAILS
from tests.support.small_disk import fill, small_disk
from tests.support.source_places import answers, place, publisher
from tests.support.wires import Inbox, MemoryWire, eventually

if TYPE_CHECKING:
    from pathlib import Path


def add(path: Path, *lines: str) -> None:
    with path.open("a") as file:
        file.write("".join(f"{line}\n" for line in lines))


async def until(out: Path, wanted: list[str]) -> None:
    await eventually(lambda: answers(out) == wanted, f"{wanted}")


# -- followed files ----------------------------------------------------------------------------


async def test_without_a_state_folder_only_what_comes_after_the_start_is_answered(
    tmp_path: Path,
) -> None:
    log, out = tmp_path / "oven.log", tmp_path / "out.jsonl"
    add(log, "of last year")
    for wanted in (["a"], ["a", "b"]):
        async with place(
            MemoryWire(), sources={"oven": FileSource(path=str(log), answers=str(out))}
        ):
            add(log, wanted[-1])
            await until(out, wanted)


async def test_from_the_start_the_whole_file_is_answered(tmp_path: Path) -> None:
    log, out = tmp_path / "oven.log", tmp_path / "out.jsonl"
    add(log, "of last year")
    source = FileSource(path=str(log), answers=str(out), begin="start")
    async with place(MemoryWire(), sources={"oven": source}):
        await until(out, ["of last year"])


async def test_what_was_rotated_while_the_agent_was_down_is_read_to_its_end_first(
    tmp_path: Path,
) -> None:
    log, out = tmp_path / "oven.log", tmp_path / "out.jsonl"
    kept: dict[str, Any] = {
        "sources": {"oven": FileSource(path=str(log), answers=str(out))},
        "state": str(tmp_path / "state"),
    }
    add(log, "one")
    async with place(MemoryWire(), **kept):
        await until(out, ["one"])
    add(log, "two")
    log.rename(tmp_path / "oven.log.1")
    add(log, "three")
    async with place(MemoryWire(), **kept):
        await until(out, ["one", "two", "three"])


async def test_a_file_that_is_moved_away_and_back_is_not_read_twice(tmp_path: Path) -> None:
    log, out = tmp_path / "oven.log", tmp_path / "out.jsonl"
    async with place(MemoryWire(), sources={"oven": FileSource(path=str(log), answers=str(out))}):
        add(log, "one")
        await until(out, ["one"])
        log.rename(tmp_path / "aside")
        add(tmp_path / "aside", "two")
        await until(out, ["one", "two"])
        (tmp_path / "aside").rename(log)
        add(log, "three")
        await until(out, ["one", "two", "three"])


async def test_a_pipe_or_a_folder_at_the_path_is_said_and_a_file_later_is_read(
    tmp_path: Path,
) -> None:
    log, out = tmp_path / "oven.log", tmp_path / "out.jsonl"
    os.mkfifo(log)
    source = FileSource(path=str(log), answers=str(out), begin="start")
    async with place(MemoryWire(), sources={"oven": source}) as here:
        await eventually(lambda: here.faults("oven", "unreadable") > 0)
        log.unlink()
        log.mkdir()
        log.rmdir()
        add(log, "a line at last")
        await until(out, ["a line at last"])


async def test_answers_wait_for_room_on_the_disk_and_are_written_in_order(tmp_path: Path) -> None:
    log, state = tmp_path / "oven.log", str(tmp_path / "state")
    with small_disk(tmp_path / "card", kilobytes=64) as card:
        out = card / "out.jsonl"
        sources = {"oven": FileSource(path=str(log), answers=str(out))}
        async with place(MemoryWire(), sources=sources, state=state) as here:
            add(log, "first")
            await until(out, ["first"])
            ballast = fill(card)
            numbered = [f"{number} degrees" for number in range(60)]
            add(log, *numbered)
            await eventually(lambda: here.faults("oven", "not written") > 0)
            ballast.unlink()
            await until(out, ["first", *numbered])


async def test_a_file_of_answers_that_is_removed_is_made_again(tmp_path: Path) -> None:
    log, out = tmp_path / "oven.log", tmp_path / "out.jsonl"
    async with place(MemoryWire(), sources={"oven": FileSource(path=str(log), answers=str(out))}):
        add(log, "one")
        await until(out, ["one"])
        out.unlink()
        add(log, "two")
        await until(out, ["two"])


# -- folders -----------------------------------------------------------------------------------


async def test_odd_files_of_a_folder_fail_alone(tmp_path: Path) -> None:
    inbox, secret = tmp_path / "in", tmp_path / "secret"
    inbox.mkdir()
    secret.write_text("not for others")
    (inbox / "link.txt").symlink_to(secret)
    os.mkfifo(inbox / "pipe.txt")
    with (inbox / "large.txt").open("wb") as large:
        large.truncate(5 << 30)
    (inbox / os.fsdecode(b"na\xefve.txt")).write_text(EASY)
    (inbox / "folder.txt").mkdir()
    async with place(MemoryWire(), sources={"in": FolderSource(path=str(inbox))}) as here:
        await eventually(lambda: len(list((inbox / "failed").glob("*.json"))) == 3)
        await eventually(lambda: len(list((inbox / "done").glob("*.json"))) == 1)
        assert "not for others" not in here.model.seen
        assert (inbox / "failed" / "link.txt").is_symlink()
        assert (inbox / "folder.txt").is_dir()
        assert secret.read_text() == "not for others"


async def test_a_file_exchanged_while_it_waits_is_read_again(tmp_path: Path) -> None:
    inbox = tmp_path / "in"
    async with place(MemoryWire(), sources={"in": FolderSource(path=str(inbox))}) as here:
        here.model.hold()
        (inbox / "a.txt").write_text(FAILS)
        await eventually(lambda: here.model.busy)
        (tmp_path / "fresh").write_text(EASY)
        (tmp_path / "fresh").rename(inbox / "a.txt")
        here.model.release()
        await eventually((inbox / "done" / "a.txt.json").exists)
        assert (inbox / "done" / "a.txt").read_text() == EASY
        assert here.faults("in", "vanished") == 1


async def test_a_file_whose_answer_finds_no_room_keeps_its_place_until_there_is_some(
    tmp_path: Path,
) -> None:
    with small_disk(tmp_path / "card", kilobytes=64) as card:
        async with place(MemoryWire(), sources={"in": FolderSource(path=str(card))}) as here:
            (card / "a.new").write_text(EASY)
            ballast = fill(card)
            (card / "a.new").rename(card / "a.txt")
            await eventually(lambda: here.faults("in", "not written") > 0)
            assert (card / "a.txt").exists()
            ballast.unlink()
            await eventually((card / "done" / "a.txt").exists)
            assert json.loads((card / "done" / "a.txt.json").read_text())["label"] == "device-1"
            assert here.model.seen.count(EASY) == 2  # one of them the fixture's


# -- retained messages -------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("retained", "state", "times"),
    [("once", "state", 1), ("once", "", 0), ("skip", "state", 0), ("take", "state", 3)],
)
async def test_a_retained_message_is_answered_over_restarts_as_the_settings_say(
    tmp_path: Path, retained: Any, state: str, times: int
) -> None:
    wire = MemoryWire()
    sources = {"m": MqttSource(topics="m/+", answer_to="out", retained=retained)}
    bus, inbox = await publisher(wire, "out")
    await bus.publish("m/1", b"old", retain=True)
    for start in range(1, 4):
        async with place(wire, sources=sources, state=state and str(tmp_path / state)):
            await bus.publish("m/2", b"a marker")
            await eventually(lambda n=start: _topics(inbox).count("m/2") == n)  # type: ignore[misc]
    assert _topics(inbox).count("m/1") == times


async def test_what_changed_while_the_connection_was_lost_is_answered_and_only_that() -> None:
    wire = MemoryWire()
    sources = {"m": MqttSource(topics="m/+", answer_to="out")}
    bus, inbox = await publisher(wire, "out")
    async with place(wire, sources=sources) as here:
        await bus.publish("m/same", b"said live", retain=True)
        await eventually(lambda: _topics(inbox) == ["m/same"])
        wire.broker.drop("device-1")
        await bus.publish("m/new", b"said meanwhile", retain=True)
        await here.device.parts.bus.start()
        await bus.publish("m/marker", b"a marker")
        await eventually(lambda: "m/marker" in _topics(inbox))
    assert sorted(_topics(inbox)) == ["m/marker", "m/new", "m/same"]


def _topics(inbox: Inbox) -> list[str]:
    return [json.loads(payload)["topic"] for payload in inbox.payloads]


# -- the watch over all of it ------------------------------------------------------------------


async def test_a_part_of_a_source_that_breaks_is_counted_and_begun_anew(tmp_path: Path) -> None:
    """Out of memory, of all things: the folder cannot even be listed, once."""
    inbox = tmp_path / "in"
    async with place(MemoryWire(), sources={"in": FolderSource(path=str(inbox))}) as here:
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(os, "scandir", _out_of_memory)
            await eventually(lambda: here.faults("in", "broken") == 1)
        (inbox / "a.txt").write_text(EASY)
        await eventually((inbox / "done" / "a.txt").exists)


def _out_of_memory(_: object) -> None:
    raise MemoryError
