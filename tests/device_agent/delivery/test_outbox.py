"""The outbox keeps room for answers that may be longer than their prompts."""

from __future__ import annotations

import contextlib
import time
from typing import TYPE_CHECKING, Any
from uuid import uuid4

import pytest

from device_agent.delivery.outbox import Outbox
from device_agent.delivery.outbox_file import OutboxFile
from shared.cascade.policies import Observation, Routing
from shared.cascade.tier import Escalation
from shared.errors import StoreFull
from shared.messages import Hop, Prompt, Result
from shared.tasks.classify import Label
from shared.tasks.generate import MOST_NEW_TOKENS, TOKEN_BYTES, Completion

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from shared.tasks import Task

HOP = Hop("device", "device-1", 0.25, 0.75, 1_234)
LIMIT_BYTES = 4 << 20
LONG: dict[str, Any] = {"max_new_tokens": MOST_NEW_TOKENS}


@pytest.fixture
async def file() -> AsyncIterator[OutboxFile]:
    opened = OutboxFile.open(None, "device-1", limit_bytes=LIMIT_BYTES)
    yield opened
    await opened.close()


def escalated(task: Task = "generate", options: dict[str, Any] | None = None) -> Escalation:
    deadline_s = time.monotonic() + 60
    prompt = Prompt(uuid4(), "device-1", task, "Write!", deadline_s, (HOP,), options=options or {})
    own = Result(prompt.id, Completion("no"), (HOP,))
    return Escalation(prompt, own, Observation(0.25, 0.0, 8), Routing(1, 0.75))


async def store_until_full(outbox: Outbox) -> list[Escalation]:
    stored: list[Escalation] = []
    with contextlib.suppress(StoreFull):
        while len(stored) < 100:
            one = escalated(options=LONG)
            await outbox.store(one, None)
            stored.append(one)
    return stored


async def test_every_answer_finds_room_that_was_promised_one(file: OutboxFile) -> None:
    outbox = Outbox(file, None, 1_000)
    stored = await store_until_full(outbox)

    assert 2 <= len(stored) <= LIMIT_BYTES // (MOST_NEW_TOKENS * TOKEN_BYTES)
    for escalation in stored:
        answer = Completion("x" * MOST_NEW_TOKENS * TOKEN_BYTES)
        await outbox.resolve(Result(escalation.prompt.id, answer, (HOP,)))
    assert all(row.result is not None for row in file.recovered())


async def test_room_is_free_again_once_the_answer_is_out(file: OutboxFile) -> None:
    outbox = Outbox(file, None, 1_000)
    stored = await store_until_full(outbox)

    outbox.forget(stored[0].prompt.id)

    await outbox.store(escalated(options=LONG), None)


async def test_a_later_life_keeps_the_room_that_an_earlier_one_promised(file: OutboxFile) -> None:
    stored = await store_until_full(Outbox(file, None, 1_000))
    prompts = {escalation.prompt.id: escalation.prompt for escalation in stored}

    again = Outbox(file, None, 1_000)
    for row in again.recovered():
        again.reserve(prompts[row.id], len(row.payload))

    with pytest.raises(StoreFull):
        await again.store(escalated(options=LONG), None)


async def test_labels_need_no_room_beside_their_prompts(file: OutboxFile) -> None:
    outbox = Outbox(file, None, 1_000)
    for _ in range(200):
        await outbox.store(escalated("classify"), None)

    answers = [Result(row.id, Label("positive"), (HOP,)) for row in file.recovered()]
    for answer in answers:
        await outbox.resolve(answer)
    assert len(answers) == 200
