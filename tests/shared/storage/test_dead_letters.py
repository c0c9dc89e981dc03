from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING
from uuid import UUID, uuid4

import pytest
from structlog.testing import capture_logs

from shared.messages import Prompt
from shared.storage.dead_letters import DeadLetter, DeadLetters
from shared.storage.journal import Journal
from shared.storage.results import SCHEMA, ResultStore, drop_attempts, results_file

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path


def letter(
    text: str = "poison", *, origin: str = "device-1", number: int | None = None
) -> DeadLetter:
    return DeadLetter(
        origin=origin,
        id=UUID(int=number) if number is not None else uuid4(),
        task="classify",
        text=text,
        reason="tried 3 times without an end",
        attempts=3,
        sha256=hashlib.sha256(text.encode()).hexdigest(),
        quarantined_at="2026-01-31T12:00:00+00:00",
    )


@pytest.fixture
async def store(tmp_path: Path) -> AsyncIterator[ResultStore]:
    opened = ResultStore.open(tmp_path, "edge-1", limit_bytes=1 << 20, keep_s=60)
    yield opened
    await opened.close()


async def test_a_letter_comes_back_as_it_was(store: ResultStore) -> None:
    letters, sent = DeadLetters(store.journal), letter("naïve: “quotes”, \0 and 漢字")

    await letters.quarantine(sent)

    assert await letters.all() == [sent]


async def test_how_the_answer_was_wanted_is_kept_with_the_prompt(store: ResultStore) -> None:
    options = {"max_new_tokens": 7, "json_schema": {"type": "object"}, "stop": ["\n", "ß"]}
    asked = Prompt(uuid4(), "device-1", "generate", "write", 0.0, options=options)
    sent = DeadLetter.of(asked, reason="three attempts", attempts=3)

    await DeadLetters(store.journal).quarantine(sent)

    (kept,) = await DeadLetters(store.journal).all()
    assert kept == sent
    assert (kept.task, kept.options) == ("generate", options)


async def test_a_letter_that_comes_again_replaces_the_first(store: ResultStore) -> None:
    letters = DeadLetters(store.journal)

    await letters.quarantine(letter("first", number=1))
    await letters.quarantine(letter("second", number=1))

    assert [each.text for each in await letters.all()] == ["second"]


async def test_letters_are_found_by_the_beginning_of_their_id(store: ResultStore) -> None:
    letters = DeadLetters(store.journal)
    first, second = letter(number=0xA1 << 120), letter(number=0xA2 << 120, origin="device-2")
    for each in (first, second):
        await letters.quarantine(each)

    assert await letters.get("a1") == [first]
    assert await letters.get("a") == [first, second]
    assert await letters.get("device-2/a") == [second]
    assert await letters.get("%") == []


async def test_purged_letters_are_gone_and_counted(store: ResultStore) -> None:
    letters, gone, stays = DeadLetters(store.journal), letter(), letter()
    await letters.quarantine(gone)
    await letters.quarantine(stays)

    assert await letters.purge([gone, letter("never seen")]) == 1
    assert await letters.all() == [stays]


async def test_beyond_a_thousand_the_oldest_go_and_are_counted(store: ResultStore) -> None:
    letters = DeadLetters(store.journal)

    with capture_logs() as logs:
        for number in range(1_003):
            await letters.quarantine(letter(number=number))

    assert [each.id.int for each in await letters.all()] == list(range(3, 1_003))
    assert letters.dropped == 3
    said = [log for log in logs if log["event"] == "dead letters dropped"]
    assert [log["since_start"] for log in said] == [1, 2, 3]
    assert len([log for log in logs if log["event"] == "prompt put aside"]) == 1_003


async def test_long_texts_push_out_the_oldest_but_never_themselves(store: ResultStore) -> None:
    letters = DeadLetters(store.journal)

    for number in range(4):
        await letters.quarantine(letter("ü" * (3 << 20), number=number))

    assert [each.id.int for each in await letters.all()] == [2, 3]
    await letters.quarantine(letter("x" * (17 << 20), number=9))
    assert [each.id.int for each in await letters.all()] == [9]


async def test_another_reader_sees_and_purges_them_while_the_agent_runs(
    store: ResultStore, tmp_path: Path
) -> None:
    letters, sent = DeadLetters(store.journal), letter(number=1)
    await letters.quarantine(sent)
    await store.attempt(("device-1", sent.id))

    journal = Journal.join(tmp_path / results_file("edge-1"), SCHEMA)
    others = DeadLetters(journal)
    assert await others.all() == [sent]
    await others.purge([sent])
    await drop_attempts(journal, [("device-1", sent.id)])
    await journal.close()

    assert await letters.all() == []
    await store.close()
    again = ResultStore.open(tmp_path, "edge-1", limit_bytes=1 << 20, keep_s=60)
    assert await again.attempt(("device-1", sent.id)) == 1
    await again.close()
