"""What edge and cloud agents do with a message: every branch, on the memory bus."""

from __future__ import annotations

import asyncio
import hashlib
from typing import Any
from uuid import uuid4

import pytest

from shared.errors import NotConnected
from shared.messages import Failure, Prompt, Result
from shared.runtimes import ModelSettings
from shared.tasks.classify import Label
from shared.tasks.generate import Completion
from shared.tasks.tag import Entities, Span
from shared.wire.codec import Notice, decode_result, encode_prompt
from tests.support.bench import DEVICE_HOP, ROOT, Bench
from tests.support.cascades import HARD, HARDEST, SURE
from tests.support.fakes import FAILS
from tests.support.wires import eventually


async def test_a_sure_answer_goes_straight_to_the_origin_with_our_hop(bench: Bench) -> None:
    prompt_id = await bench.send(HARD)

    result = await bench.result()

    assert bench.results.messages[0].topic == f"{ROOT}/results/device-1"
    assert (result.id, result.outcome, result.degraded) == (prompt_id, Label("edge-1"), "")
    assert [(hop.tier, hop.agent, hop.confidence) for hop in result.hops] == [
        ("edge", "edge-1", SURE)
    ]
    await eventually(lambda: bench.bus.acknowledged == 1)


async def test_an_unsure_answer_is_sent_on_and_nothing_goes_to_the_origin(bench: Bench) -> None:
    await bench.cloud("cloud-1")
    prompt_id = await bench.send(HARDEST)

    agent, prompt = await bench.escalated()

    assert (agent, prompt.id, prompt.text, prompt.origin) == (
        "cloud-1",
        prompt_id,
        HARDEST,
        "device-1",
    )
    assert [hop.tier for hop in prompt.hops] == ["device", "edge"]
    assert 9 < prompt.deadline_s <= 10
    assert bench.results.messages == []


async def test_with_nobody_above_the_own_answer_goes_out_as_degraded(bench: Bench) -> None:
    await bench.send(HARDEST)
    result = await bench.result()
    assert result.outcome == Label("edge-1")
    assert result.degraded == "no cloud agent took the prompt"


async def test_a_prompt_is_acknowledged_before_the_model_is_done(bench: Bench) -> None:
    bench.model.hold()
    await bench.send(HARD)
    await eventually(lambda: bench.model.busy)
    assert bench.bus.acknowledged == 1
    bench.model.release()


@pytest.mark.parametrize(
    ("text", "changes", "code"),
    [
        (FAILS, {}, "quarantined"),
        ("  ", {}, "invalid_prompt"),
        ("x" * 70_000, {}, "invalid_prompt"),
    ],
    ids=["model", "empty", "too long"],
)
async def test_a_prompt_that_cannot_be_answered_gets_a_result_that_says_so(
    bench: Bench, text: str, changes: dict[str, Any], code: str
) -> None:
    await bench.send(text, **changes)
    result = await bench.result()
    assert isinstance(result.outcome, Failure)
    assert result.outcome.code == code
    assert result.outcome.reason
    assert bench.counted("recserve_prompts_total", tier="edge", task="classify", outcome="failed")


async def test_what_comes_too_late_is_not_worked_on(bench: Bench) -> None:
    await bench.send(HARD, deadline_s=-1.0)
    await eventually(lambda: bench.bus.acknowledged == 1)
    assert bench.model.seen == []
    assert bench.results.messages == []


async def test_a_prompt_is_tried_three_times_and_put_aside_with_its_text_and_reason(
    bench: Bench,
) -> None:
    prompt_id = await bench.send(FAILS)
    await bench.result()

    (letter,) = await bench.service._dead_letters.all()
    assert bench.model.seen == [FAILS] * 3
    assert (letter.id, letter.origin, letter.text) == (prompt_id, "device-1", FAILS)
    assert (letter.attempts, letter.reason) == (3, "no answer to this one")
    assert letter.sha256 == hashlib.sha256(FAILS.encode()).hexdigest()


async def test_a_task_that_is_not_served_gets_a_result_that_says_so(bench: Bench) -> None:
    prompt = Prompt(uuid4(), "device-1", "generate", "write", 10.0)
    payload = encode_prompt(prompt, 0.0)
    await bench.tester.publish(f"{ROOT}/prompts/edge-1/generate/device-1", payload)
    result = await bench.result()
    assert result.outcome == Failure("unknown_task", "edge-1 answers classify, not 'generate'")


async def test_a_text_that_the_broker_does_not_carry_arrives_cut(bench: Bench) -> None:
    bench.broker.packet_bytes = 4_000
    bench.model.answers[HARD] = Completion("ä" * 6_000, tokens_out=3_000)

    await bench.send(HARD)

    text = (await bench.result()).outcome
    assert isinstance(text, Completion)
    assert (text.finish, text.tokens_out, set(text.text)) == ("cut", 3_000, {"ä"})
    assert 1_900 < len(text.text) < 2_000


async def test_an_answer_that_cannot_be_cut_is_refused_with_a_sentence(bench: Bench) -> None:
    bench.broker.packet_bytes = 4_000
    many = tuple(Span("PER", at, at + 1, 0.5) for at in range(1_000))
    bench.model.answers[HARD] = Entities(many)

    await bench.send(HARD)

    failure = (await bench.result()).outcome
    assert isinstance(failure, Failure)
    assert failure.code == "too_long"


async def test_a_confidence_that_is_no_number_becomes_a_failure(bench: Bench) -> None:
    bench.model._confidences["odd"] = float("nan")
    await bench.send("odd")
    result = await bench.result()
    assert isinstance(result.outcome, Failure)
    assert result.outcome.code == "quarantined"
    await bench.send(HARD)
    assert (await bench.result()).outcome == Label("edge-1")


async def test_a_reply_that_cannot_go_out_is_acknowledged_and_remembered(bench: Bench) -> None:
    prompt_id = await bench.send(HARD)
    await bench.result()
    await eventually(lambda: bench.bus.acknowledged == 1)

    class Lost:
        """The edge's bus, at a moment without a connection."""

        acknowledged = 0

        async def publish(self, *_: object, **__: object) -> None:
            raise NotConnected("gone")

        def acknowledge(self, message: object) -> None:
            self.acknowledged += 1

    whole, lost = bench.service._bus, Lost()
    bench.service._bus = lost  # type: ignore[assignment] # as much of a bus as a reply needs
    await bench.send(HARD, prompt_id=prompt_id)
    await eventually(lambda: lost.acknowledged == 1)
    bench.service._bus = whole
    await bench.send(HARD, prompt_id=prompt_id)

    assert (await bench.result()).outcome == Label("edge-1")
    assert bench.model.seen == [HARD]


async def test_malformed_bytes_are_counted_logged_once_and_stop_nothing(
    bench: Bench, capsys: pytest.CaptureFixture[str]
) -> None:
    topic = f"{ROOT}/prompts/edge-1/classify/stranger"
    for payload in (b"", b"junk", b"\x96\x01", bytes(300)):
        await bench.tester.publish(topic, payload)
    await bench.tester.publish(f"{ROOT}/prompts/edge-1/translate/other", b"")
    await bench.tester.publish(f"{ROOT}/results/edge-1", b"junk")

    await eventually(lambda: bench.bus.acknowledged == 6, "each is acknowledged once")
    assert bench.counted("recserve_refused_total", fault="malformed") == 6
    assert capsys.readouterr().out.count("message refused") == 3, "once for each sender"
    await bench.send(HARD)
    await bench.results.next()
    assert (await bench.result()).outcome == Label("edge-1")


async def test_an_agent_of_a_pool_serves_the_pools_address_too() -> None:
    bench = await Bench(pool="edges").start()
    prompt = Prompt(uuid4(), "device-1", "classify", HARD, 10.0, (DEVICE_HOP,))
    topic = f"{ROOT}/prompts/edges/classify/device-1"
    await bench.tester.publish(topic, encode_prompt(prompt, 0.0))
    assert (await bench.result()).id == prompt.id
    await bench.close()


async def test_draining_waits_for_what_is_in_hand_and_counts_the_rest(bench: Bench) -> None:
    assert await bench.service.drain(0.1) == 0
    bench.model.hold()
    await bench.send(HARD)
    await eventually(lambda: bench.model.busy)
    assert await bench.service.drain(0.05) == 1

    bench.model.release()
    assert await bench.service.drain(5) == 0
    assert (await bench.result()).outcome == Label("edge-1")


async def test_what_waits_when_the_model_closes_is_handed_back() -> None:
    bench = await Bench(model=ModelSettings(source="x", batch_prompts=1)).start()
    bench.model.hold()
    first = await bench.send(HARD)
    await eventually(lambda: bench.model.busy)
    second = await bench.send(HARD)
    await eventually(lambda: bench.parts.batcher.waiting == 2)

    asyncio.get_running_loop().call_later(0.1, bench.model.release)
    await bench.parts.batcher.close()
    await bench.service.drain(5)

    came = [decode_result((await bench.results.next()).payload) for _ in range(2)]
    assert (second, Notice("stopping", "edge-1")) in came
    assert ("device-1", second) not in bench.service._admission._in_hand, "it may come again"
    assert [result.id for result in came if isinstance(result, Result)] == [first]
