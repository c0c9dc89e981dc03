"""A device that dies and starts again goes on where it was: real outbox, real processes' worth."""

from __future__ import annotations

import asyncio
import contextlib
import json
import sqlite3
from typing import TYPE_CHECKING, Any

import msgspec
import pytest

from device_agent.settings import OutboxSettings
from shared.errors import AgentRunning
from shared.messages import Hop, Result
from shared.storage.dead_letters import DeadLetters
from shared.tasks.classify import Label
from shared.wire.codec import encode_result
from tests.support.cascades import EASY, HARD, HASTY, UNSURE, cascade
from tests.support.device_lives import Life, ask
from tests.support.wires import MemoryWire, eventually

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path


async def test_a_question_accepted_before_a_crash_is_answered_after_it(tmp_path: Path) -> None:
    wire = MemoryWire()
    async with cascade(wire) as tiers:
        first = await Life(tiers, tmp_path).begin()
        inbox = await ask(wire, {"id": "1", "text": HARD, "receipt": True})
        receipt = json.loads((await inbox.next()).payload)
        assert receipt == {"id": "1", "accepted": True}
        first.kill()
        await first.end()

        second = await Life(tiers, tmp_path).begin()
        await tiers.edge()
        answer = json.loads((await inbox.next()).payload)

        assert (answer["id"], answer["label"], answer["tier"]) == ("1", "edge-1", "edge")
        assert [hop["tier"] for hop in answer["hops"]] == ["device", "edge"]
        await eventually(lambda: second.count("recserve_pending") == 0)
        await second.end()
        third = await Life(tiers, tmp_path).begin()
        await asyncio.sleep(0.1)
        assert len(inbox.messages) == 2, "one receipt, one answer, for good"
        assert third.count("recserve_accepted_total") == 1, "only what we asked just now"
        await third.end()


async def test_after_a_crash_an_own_answer_still_says_what_the_model_said_of_it(
    tmp_path: Path,
) -> None:
    wire = MemoryWire()
    async with cascade(wire) as tiers:
        first = await Life(tiers, tmp_path, said=0.97).begin()
        inbox = await ask(wire, {"id": "1", "text": HARD, "receipt": True})
        await inbox.next()
        first.kill()
        await first.end()

        second = await Life(tiers, tmp_path, said=0.97, upstream=HASTY).begin()
        answer = json.loads((await inbox.next()).payload)

        assert (answer["tier"], answer["degraded"]) == ("device", "no agent above is alive")
        assert (answer["confidence"], answer["confidence_kind"]) == (0.97, "max_probability")
        (hop,) = answer["hops"]
        assert (hop["confidence"], hop["confidence_kind"]) == (UNSURE, "agreement")
        await second.end()


async def test_the_balance_of_a_device_holds_at_every_moment(tmp_path: Path) -> None:
    async with cascade(MemoryWire()) as tiers:
        life = await Life(tiers, tmp_path).begin()
        asked = [life.device.submit(HARD) for _ in range(5)]
        await eventually(lambda: life.count("recserve_pending") == 5)
        assert life.count("recserve_unaccounted") == 0
        asked[0].cancel()
        await tiers.edge()
        await asyncio.gather(*asked[1:])
        assert life.count("recserve_accepted_total") == 6
        assert life.count("recserve_pending") == 0
        assert life.count("recserve_unaccounted") == 0
        assert life.count("recserve_answered_total", kind="withdrawn") == 1
        await life.end()


async def test_a_full_outbox_means_an_own_answer_and_no_lost_prompt(tmp_path: Path) -> None:
    async with cascade(MemoryWire()) as tiers:
        life = await Life(tiers, tmp_path, outbox=OutboxSettings(prompts=3)).begin()
        asked = [life.device.submit(HARD) for _ in range(5)]
        done, waiting = await asyncio.wait(asked, timeout=0.5)
        assert len(waiting) == 3
        assert {task.result().degraded for task in done} == {"3 prompts wait for an answer already"}
        for task in waiting:
            task.cancel()
        await life.end()


async def test_two_processes_cannot_be_one_device(tmp_path: Path) -> None:
    async with cascade(MemoryWire()) as tiers:
        life = await Life(tiers, tmp_path).begin()
        with pytest.raises(AgentRunning, match="another process runs as 'device-1'"):
            await Life(tiers, tmp_path).begin()
        await life.end()


async def test_a_prompt_answered_here_costs_no_commit_and_one_that_goes_up_shares_it(
    tmp_path: Path,
) -> None:
    async with cascade(MemoryWire()) as tiers:
        await tiers.edge()
        life = await Life(tiers, tmp_path).begin()
        outbox = life.device.delivery._outbox._file
        assert outbox is not None
        before = outbox.journal.commits
        for _ in range(50):
            assert (await life.device.ask(EASY)).tier == "device"
        assert outbox.journal.commits == before

        results = await asyncio.gather(*(life.device.ask(HARD) for _ in range(50)))
        assert {result.tier for result in results} == {"edge"}
        assert 2 <= outbox.journal.commits - before < 100, "store, settle, forget: many to a commit"
        await life.end()


async def test_prompts_that_wait_above_do_not_stall_those_that_need_nobody(tmp_path: Path) -> None:
    async with cascade(MemoryWire()) as tiers:
        await tiers.edge()
        life = await Life(tiers, tmp_path, in_flight=2).begin()
        tiers.models["edge-1"].hold()
        waiting = [life.device.submit(HARD) for _ in range(10)]
        await eventually(lambda: life.count("recserve_pending") == 10)

        easy = await asyncio.wait_for(life.device.ask(EASY), 1)

        assert easy.tier == "device"
        assert not any(task.done() for task in waiting)
        tiers.models["edge-1"].release()
        assert {result.tier for result in await asyncio.gather(*waiting)} == {"edge"}
        await life.end()


async def test_a_better_answer_after_a_degraded_one_is_published_as_a_revision(
    tmp_path: Path,
) -> None:
    wire = MemoryWire()
    async with cascade(wire) as tiers:
        await tiers.edge()
        life = await Life(tiers, tmp_path).begin()
        tiers.models["edge-1"].hold()
        question = {"id": "1", "text": HARD, "timeout_s": 0.4, "revisions": True}
        inbox = await ask(wire, question)
        first = json.loads((await inbox.next()).payload)
        await eventually(lambda: tiers.models["edge-1"].busy)
        escalated = life.device.delivery._delivery._revisions._revisable
        ((prompt_id, item),) = escalated.items()

        better = Result(prompt_id, Label("edge-1"), (Hop("edge", "edge-1", 0.9, 0.5, 10),))
        topic = life.device.parts.topics.results("device-1")
        await tiers.parts["edge-1"].bus.publish(topic, encode_result(better, known_hops=0))
        second = json.loads((await inbox.next()).payload)

        assert (first["label"], first["degraded"]) == ("device-1", "no better answer came in time")
        assert (second["id"], second["label"], second["revision"]) == ("1", "edge-1", True)
        assert item.prompt.id == prompt_id
        assert "degraded" not in second
        await life.end()


def altered(folder: Path, alter: Callable[[list[Any]], Any]) -> None:
    """Write every payload of the outbox anew, as another version or a worn card would."""
    with contextlib.closing(sqlite3.connect(folder / "device-1.outbox.sqlite")) as file:
        for key, payload in file.execute("SELECT id, payload FROM outbox").fetchall():
            fields = msgspec.msgpack.encode(alter(msgspec.msgpack.decode(payload)))
            file.execute("UPDATE outbox SET payload = ? WHERE id = ?", (fields, key))
        file.commit()


def rows(folder: Path) -> int:
    with contextlib.closing(sqlite3.connect(folder / "device-1.outbox.sqlite")) as file:
        count: int = file.execute("SELECT count(*) FROM outbox").fetchone()[0]
    return count


async def test_an_asker_hears_of_a_prompt_that_cannot_be_read_any_more(tmp_path: Path) -> None:
    wire = MemoryWire()
    async with cascade(wire) as tiers:
        first = await Life(tiers, tmp_path).begin()
        inbox = await ask(wire, {"id": "1", "text": HARD, "receipt": True})
        await inbox.next()
        first.kill()
        await first.end()
        altered(tmp_path, lambda fields: [*fields[:2], "no time", *fields[3:]])

        second = await Life(tiers, tmp_path).begin()
        answer = json.loads((await inbox.next()).payload)

        assert (answer["id"], answer["error"]) == ("1", "lost")
        await eventually(lambda: rows(tmp_path) == 0)
        assert second.count("recserve_unaccounted") == 0
        await second.end()


async def test_rows_of_nobody_that_cannot_be_read_take_no_room(tmp_path: Path) -> None:
    async with cascade(MemoryWire()) as tiers:
        settings: dict[str, Any] = {"outbox": OutboxSettings(prompts=2)}
        first = await Life(tiers, tmp_path, **settings).begin()
        asked = [first.device.submit(HARD) for _ in range(2)]
        await eventually(lambda: rows(tmp_path) == 2)
        first.kill()
        await asyncio.gather(first.end(), *asked, return_exceptions=True)
        altered(tmp_path, lambda fields: {"form": 2, "text": fields[0]})

        second = await Life(tiers, tmp_path, **settings).begin()
        await tiers.edge()

        assert (await second.device.ask(HARD)).tier == "edge"
        await eventually(lambda: rows(tmp_path) == 0)
        await second.end()
        letters = DeadLetters.open(tmp_path, "device-1")
        assert [HARD in letter.text for letter in await letters.all()] == [True, True]
        await letters.close()


async def test_a_prompt_goes_to_what_is_above_now(tmp_path: Path) -> None:
    async with cascade(MemoryWire()) as tiers:
        first = await Life(tiers, tmp_path).begin()
        asked = first.device.submit(HARD)
        await eventually(lambda: rows(tmp_path) == 1)
        first.kill()
        await asyncio.gather(first.end(), asked, return_exceptions=True)
        altered(tmp_path, lambda fields: [*fields[:6], 5, *fields[7:]])

        edge = await tiers.edge()
        second = await Life(tiers, tmp_path).begin()

        await eventually(lambda: edge.seen == [HARD])
        await eventually(lambda: second.count("recserve_pending") == 0)
        assert second.count("recserve_answered_total", kind="degraded") == 0
        await second.end()


async def test_no_answer_tells_where_the_outbox_lies(tmp_path: Path) -> None:
    async with cascade(MemoryWire()) as tiers:
        life = await Life(tiers, tmp_path).begin()
        outbox = life.device.delivery._outbox._file
        assert outbox is not None
        await outbox.close()

        result = await life.device.ask(HARD)

        assert result.degraded == "the outbox cannot be written"
        await life.end()
