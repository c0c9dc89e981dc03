"""The caller of a model that a server runs: bounded, patient where that is safe, never stuck."""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING, Any

import msgspec
import pytest

from shared.errors import (
    BundleError,
    Busy,
    Expired,
    InvalidPrompt,
    ModelFailed,
    ServerAway,
    Stopping,
)
from shared.runtimes import ModelSettings
from shared.runtimes.chat_requests import Manners
from shared.runtimes.openai_server import OpenaiModel
from shared.runtimes.server_settings import connector
from shared.serving.batcher import Batcher
from shared.serving.caller import Caller
from shared.tasks import Request
from shared.tasks.generate import Completion
from tests.support.fakes import LookupModel
from tests.support.rude_server import SILENCE, Asked, completion, http, refusal, rude_server
from tests.support.wires import eventually

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterator

    from shared.messages import Scored
    from tests.support.rude_server import RudeServer

    Reply = Callable[[Asked, int], bytes]

pytest.importorskip("httpx2")

GOOD = http("200 OK", completion("yes", -0.1))
LOADING = http("503 Later", refusal("loading"))


@pytest.fixture
def server() -> Iterator[RudeServer]:
    with rude_server(lambda asked, number: GOOD) as running:
        yield running


@pytest.fixture
async def calling(server: RudeServer) -> AsyncIterator[Callable[..., Caller]]:
    """Makes callers of the server and closes them."""
    made: list[Caller] = []

    def make(queue_prompts: int = 100, limit_s: float = 60.0, **more: Any) -> Caller:
        model = model_at(server.url, **more)
        made.append(Caller(model, queue_prompts=queue_prompts, limit_s=limit_s))
        return made[-1]

    yield make
    for caller in made:
        await caller.close()


def model_at(url: str, **more: Any) -> OpenaiModel:
    fields = {"runtime": "openai", "source": url, "model": "m", **more}
    settings = msgspec.convert(fields, ModelSettings)
    return OpenaiModel(settings, connector(settings), Manners(certain=True, limit="max_tokens"))


async def ask(caller: Caller, text: str = "hello", within_s: float = 20.0, **more: Any) -> Scored:
    deadline_s = time.monotonic() + within_s
    return await caller.solve(Request("generate", text), deadline_s=deadline_s, **more)


def texts(server: RudeServer) -> list[str]:
    return [asked.body["messages"][-1]["content"] for asked in server.asked]


async def test_many_are_under_way_at_once_and_no_more_than_may_be(
    server: RudeServer, calling: Callable[..., Caller]
) -> None:
    caller = calling(in_flight=3)
    server.takes_s = 0.05

    answers = await asyncio.gather(*(ask(caller, f"{number}") for number in range(12)))

    assert [answer.answer for answer in answers] == [Completion("yes", "stop", 7, 1)] * 12
    assert server.most_under_way == 3
    assert caller.waiting == 0
    assert caller.service_s > 0


async def test_the_higher_priority_goes_first(
    server: RudeServer, calling: Callable[..., Caller]
) -> None:
    caller = calling(in_flight=1)
    server.takes_s = 0.1
    first = asyncio.create_task(ask(caller, "first"))
    await eventually(lambda: bool(server.asked))

    low = asyncio.create_task(ask(caller, "low"))
    high = asyncio.create_task(ask(caller, "high", priority=1))
    await asyncio.gather(first, low, high)

    assert texts(server) == ["first", "high", "low"]


async def test_a_full_queue_says_so_at_once(
    server: RudeServer, calling: Callable[..., Caller]
) -> None:
    caller = calling(in_flight=1, queue_prompts=2)
    server.reply = lambda asked, number: SILENCE
    held = [asyncio.create_task(ask(caller, origin="a")) for _ in range(3)]
    await eventually(lambda: bool(server.asked))

    assert caller.queue_for("a").full
    with pytest.raises(Busy, match="2 prompts are waiting already"):
        await ask(caller, origin="a")
    for task in held:
        task.cancel()
    await asyncio.gather(*held, return_exceptions=True)
    assert caller.waiting == 0


async def test_a_server_that_never_answers_costs_a_prompt_its_time_and_is_hung_up_on(
    server: RudeServer, calling: Callable[..., Caller]
) -> None:
    caller = calling(in_flight=1)
    server.reply = lambda asked, number: SILENCE if not number else GOOD

    with pytest.raises(Expired):
        await ask(caller, within_s=0.3)
    assert await asyncio.to_thread(server.left.wait, 10), "it hears that nobody waits"
    assert (await ask(caller)).answer == Completion("yes", "stop", 7, 1)
    assert not caller.hung.is_set()
    assert caller.service_s > 0.1, "what took too long counts, too"


async def test_a_request_has_a_limit_of_its_own(
    server: RudeServer, calling: Callable[..., Caller]
) -> None:
    caller = calling(limit_s=0.2)
    server.reply = lambda asked, number: SILENCE

    with pytest.raises(ModelFailed, match=r"no answer within 0\.2 s"):
        await ask(caller)


async def test_an_asker_that_leaves_ends_its_request(
    server: RudeServer, calling: Callable[..., Caller]
) -> None:
    caller = calling(in_flight=1)
    server.reply = lambda asked, number: SILENCE
    asked = asyncio.create_task(ask(caller))
    await eventually(lambda: bool(server.asked))

    asked.cancel()

    assert await asyncio.to_thread(server.left.wait, 10)
    await eventually(lambda: caller.waiting == 0)


@pytest.mark.parametrize(
    "not_now",
    [LOADING, http("429 Slow down", refusal("slow down"), "Retry-After: 0")],
    ids=["503", "429 with the time to come back at"],
)
async def test_what_cannot_have_begun_is_tried_again(
    server: RudeServer, calling: Callable[..., Caller], not_now: bytes
) -> None:
    caller = calling()
    server.reply = lambda asked, number: not_now if number < 2 else GOOD

    assert (await ask(caller)).answer == Completion("yes", "stop", 7, 1)
    assert len(server.asked) == 3


@pytest.mark.parametrize(
    ("said", "error"),
    [
        (http("500 Oops", refusal("out of memory")), ModelFailed),
        (http("429 Slow down", refusal("the budget is spent")), ServerAway),
        (http("401 No", refusal("wrong key")), ServerAway),
        (http("400 Bad", refusal("too long")), InvalidPrompt),
        (GOOD[:-20].replace(b"OK\r\n", b"OK\r\nConnection: close\r\n"), ModelFailed),
        (http("200 OK", "<html>"), ModelFailed),
    ],
    ids=["500", "429", "401", "400", "half an answer", "nonsense"],
)
async def test_whatever_else_goes_wrong_is_not(
    server: RudeServer, calling: Callable[..., Caller], said: bytes, error: type[Exception]
) -> None:
    caller = calling()
    server.reply = lambda asked, number: said

    with pytest.raises(error):
        await ask(caller)
    assert len(server.asked) == 1


async def test_a_server_that_asks_for_time_is_left_alone_and_the_estimate_knows(
    server: RudeServer, calling: Callable[..., Caller]
) -> None:
    caller = calling()
    server.reply = lambda asked, number: http("503 Later", refusal("later"), "Retry-After: 30")

    with pytest.raises(Busy, match="takes nothing for another"):
        await ask(caller, within_s=20)
    with pytest.raises(Busy):
        await ask(caller, within_s=20)

    assert len(server.asked) == 1, "the second prompt asked nobody"
    assert 20 < caller.queue_for("").wait_s < 30
    assert caller.wait_s > 20
    assert not caller.queue_for("").full


async def test_a_server_that_wants_to_be_left_alone_for_a_day_is_asked_after_minutes(
    server: RudeServer, calling: Callable[..., Caller]
) -> None:
    caller = calling()
    day = "Retry-After: 86400"
    server.reply = lambda asked, number: http("429 Slow down", refusal("slow down"), day)

    with pytest.raises(Busy, match="takes nothing for another"):
        await ask(caller)
    assert 60 < caller.queue_for("").wait_s <= 120


async def test_a_server_that_refuses_us_is_asked_now_and_then_and_takes_nothing_meanwhile(
    server: RudeServer, calling: Callable[..., Caller]
) -> None:
    caller = calling()
    server.reply = lambda asked, number: http("401 No", refusal("wrong key"))

    with pytest.raises(ServerAway, match="check the key"):
        await ask(caller)
    assert caller.queue_for("").full

    caller._not_before_s = time.monotonic()
    server.reply = lambda asked, number: GOOD
    assert not caller.queue_for("").full, "somebody has to try"
    await ask(caller)
    assert caller.queue_for("") == (0.0, False)


async def test_a_server_that_is_gone_is_waited_for_and_then_another_agent_may_do_better() -> None:
    caller = Caller(model_at("http://127.0.0.1:1/v1"), queue_prompts=10)

    with pytest.raises(Busy, match="cannot be reached"):
        await ask(caller, within_s=60)
    with pytest.raises(Busy, match="takes nothing for another"):
        await ask(caller, within_s=0.5)
    await caller.close()


async def test_closing_turns_away_what_waits_and_breaks_off_what_runs(
    server: RudeServer, calling: Callable[..., Caller]
) -> None:
    caller = calling(in_flight=1)
    server.reply = lambda asked, number: SILENCE
    held = [asyncio.create_task(ask(caller)) for _ in range(3)]
    await eventually(lambda: bool(server.asked))

    await caller.close()

    ended = await asyncio.gather(*held, return_exceptions=True)
    assert [type(end) for end in ended] == [Stopping] * 3
    with pytest.raises(Stopping):
        await ask(caller)


async def test_another_model_is_asked_from_now_on_and_the_one_before_lets_go_when_it_has_answered(
    server: RudeServer, calling: Callable[..., Caller]
) -> None:
    caller = calling(in_flight=2)
    server.takes_s = 0.2
    before = caller.model
    first = asyncio.create_task(ask(caller, "first"))
    await eventually(lambda: bool(server.asked))

    await asyncio.to_thread(caller.exchange, model_at(server.url, model="other"))
    await asyncio.to_thread(before.close)
    await ask(caller, "second")
    await first

    assert [asked.body["model"] for asked in server.asked] == ["m", "other"]
    assert isinstance(before, OpenaiModel)
    await eventually(lambda: before._client is None)


async def test_a_server_and_an_engine_that_runs_here_do_not_take_each_others_place(
    server: RudeServer, calling: Callable[..., Caller]
) -> None:
    with pytest.raises(BundleError, match="only after a restart"):
        calling().exchange(LookupModel())
    batcher = Batcher(LookupModel(), batch_prompts=1, queue_prompts=1)
    with pytest.raises(BundleError, match="only after a restart"):
        batcher.exchange(model_at(server.url))
    await batcher.close()
