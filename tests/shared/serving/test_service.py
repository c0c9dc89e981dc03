"""What edge and cloud agents do with a message: every branch, on the memory bus."""

from __future__ import annotations

import asyncio
import hashlib
from typing import TYPE_CHECKING, Any
from uuid import uuid4

import pytest

from shared.agent.settings import LimitSettings, TierSettings, UpstreamSettings
from shared.bus.mqtt.settings import MqttSettings
from shared.cascade.policies import PassAll, Quality
from shared.errors import NotConnected
from shared.membership.breaker import FAILURES
from shared.messages import Failure, Hop, Prompt, Result
from shared.protocol import admission
from shared.runtimes import ModelSettings
from shared.tasks.classify import Label
from shared.wire.codec import Notice, decode_result, encode_notice, encode_prompt, encode_result
from tests.support.bench import DEVICE_HOP, ROOT, Bench
from tests.support.cascades import HARD, HARDEST, SURE
from tests.support.fakes import FAILS
from tests.support.wires import eventually

if TYPE_CHECKING:
    from collections.abc import AsyncIterator


@pytest.fixture
async def bench() -> AsyncIterator[Bench]:
    made = await Bench().start()
    yield made
    await made.close()


# -- answers -----------------------------------------------------------------------------------


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


# -- repeats -----------------------------------------------------------------------------------


async def test_a_repeat_is_answered_from_memory_without_model_or_window(bench: Bench) -> None:
    prompt_id = await bench.send(HARD)
    first = await bench.result()
    window = bench.parts.station.tier._policies["classify"]._window  # type: ignore[attr-defined]
    held = len(window)

    await bench.send(HARD, prompt_id=prompt_id)

    assert await bench.result() == first
    assert bench.model.seen == [HARD]
    assert len(window) == held
    assert bench.counted("recserve_repeats_total", kind="prompt") == 1


async def test_a_repeat_of_what_is_in_hand_is_told_so_and_left_to_the_first(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(admission, "_REPEAT_S", 0.0)
    bench.model.hold()
    prompt_id = await bench.send(HARD)
    await eventually(lambda: bench.model.busy)
    for _ in range(3):
        await bench.send(HARD, prompt_id=prompt_id)
        notice = decode_result((await bench.results.next()).payload)
        assert notice == (prompt_id, Notice("working", "edge-1"))

    bench.model.release()
    await bench.result()
    await asyncio.sleep(0.05)

    assert len(bench.results.messages) == 4
    assert bench.model.seen == [HARD]


async def test_a_word_that_cannot_be_said_does_not_let_a_prompt_run_twice(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(admission, "_REPEAT_S", 0.0)
    bench.model.hold()
    prompt_id = await bench.send(HARD)
    await eventually(lambda: bench.model.busy)
    publish = bench.bus.publish

    async def lost(*_args: Any, **_how: Any) -> Any:
        raise NotConnected("gone")

    monkeypatch.setattr(bench.bus, "publish", lost)
    for _ in range(4):
        await bench.send(HARD, prompt_id=prompt_id)
    await eventually(lambda: bench.bus.acknowledged == 5)
    monkeypatch.setattr(bench.bus, "publish", publish)
    bench.model.release()
    await bench.result()
    assert bench.model.seen == [HARD]


async def test_a_device_beyond_its_rate_still_hears_that_its_prompt_is_in_hand() -> None:
    bench = await Bench(limits=LimitSettings(device_prompts_s=0.01, device_burst=1)).start()
    bench.model.hold()
    prompt_id = await bench.send(HARD)
    await eventually(lambda: bench.model.busy)
    await bench.send(HARD, prompt_id=prompt_id)
    told = decode_result((await bench.results.next()).payload)
    assert told == (prompt_id, Notice("working", "edge-1"))
    await bench.close()


async def test_a_prompt_is_acknowledged_before_the_model_is_done(bench: Bench) -> None:
    bench.model.hold()
    await bench.send(HARD)
    await eventually(lambda: bench.model.busy)
    assert bench.bus.acknowledged == 1
    bench.model.release()


async def test_a_repeat_of_what_went_up_asks_who_has_it_and_then_another(bench: Bench) -> None:
    await bench.cloud("cloud-1", "cloud-2")
    prompt_id = await bench.send(HARDEST)
    first, _ = await bench.escalated()
    asked = [first]
    for _ in range(2):
        await asyncio.sleep(0.25)
        await bench.send(HARDEST, prompt_id=prompt_id)
        agent, again = await bench.escalated()
        asked.append(agent)
        assert again.id == prompt_id
        told = decode_result((await bench.results.next()).payload)
        assert told == (prompt_id, Notice("working", "edge-1"))

    assert asked[0] == asked[1], "it may be at work on it"
    assert asked[2] != asked[0], "it said nothing"
    assert bench.model.seen == [HARDEST]


async def test_what_is_worked_on_above_stays_there(bench: Bench) -> None:
    await bench.cloud("cloud-1", "cloud-2")
    prompt_id = await bench.send(HARDEST)
    first, _ = await bench.escalated()
    for _ in range(3):
        await asyncio.sleep(0.25)
        await bench.send(HARDEST, prompt_id=prompt_id)
        agent, _ = await bench.escalated()
        assert agent == first
        word = encode_notice(prompt_id, "working", agent)
        await bench.tester.publish(f"{ROOT}/results/edge-1", word)


async def test_repeats_faster_than_anybody_waits_do_not_go_up(bench: Bench) -> None:
    await bench.cloud("cloud-1")
    prompt_id = await bench.send(HARDEST)
    await bench.escalated()
    for _ in range(20):
        await bench.send(HARDEST, prompt_id=prompt_id)
    await eventually(lambda: bench.counted("recserve_repeats_total", kind="prompt") == 20)
    sent_on = [topic for topic in bench.broker.published if "/prompts/cloud-1/" in topic]
    assert sum(bench.broker.published[topic] for topic in sent_on) == 2


async def test_repeats_count_towards_a_devices_rate() -> None:
    bench = await Bench(limits=LimitSettings(device_prompts_s=0.01, device_burst=3)).start()
    prompt_id = await bench.send(HARD)
    first = await bench.result()
    for _ in range(10):
        await bench.send(HARD, prompt_id=prompt_id)
    await eventually(lambda: bench.counted("recserve_repeats_total", kind="prompt") == 10)

    assert [await bench.result() for _ in range(2)] == [first, first]
    await asyncio.sleep(0.05)
    assert len(bench.results.messages) == 3


async def test_a_repeat_of_what_went_up_has_the_time_that_it_brings(bench: Bench) -> None:
    await bench.cloud("cloud-1", "cloud-2")
    prompt_id = await bench.send(HARDEST, deadline_s=1.0)
    await bench.escalated()

    await bench.send(HARDEST, prompt_id=prompt_id, deadline_s=10.0)
    _, again = await bench.escalated()

    assert again.deadline_s > 9


async def test_a_repeat_of_what_nobody_above_took_is_tried_again(bench: Bench) -> None:
    prompt_id = await bench.send(HARDEST)
    assert (await bench.result()).degraded

    await bench.cloud("cloud-1")
    await bench.send(HARDEST, prompt_id=prompt_id)
    agent, again = await bench.escalated()

    assert (agent, again.id) == ("cloud-1", prompt_id)
    assert bench.model.seen == [HARDEST]


async def test_the_same_id_of_another_origin_is_another_prompt(bench: Bench) -> None:
    prompt_id = await bench.send(HARD)
    await bench.result()
    await bench.send(HARD, prompt_id=prompt_id, origin="device-2", hops=())
    await bench.result()
    assert bench.model.seen == [HARD, HARD]


# -- busy, here and above ----------------------------------------------------------------------


async def test_a_full_queue_is_said_at_once_to_whoever_sent_the_prompt() -> None:
    bench = await Bench(limits=LimitSettings(queue_prompts=1)).start()
    bench.model.hold()
    await bench.send(HARD)
    await eventually(lambda: bench.model.busy)
    await bench.send(HARD)
    await eventually(lambda: bench.parts.batcher.queue_for("device-1").full)

    edge_hop = Hop("edge", "edge-9", 0.5, 0.7, 100)
    declined = await bench.send(HARD, hops=(DEVICE_HOP, edge_hop))

    message = await bench.results.next()
    assert message.topic == f"{ROOT}/results/edge-9"
    assert decode_result(message.payload) == (declined, Notice("busy", "edge-1"))
    assert bench.counted("recserve_refused_total", fault="busy") == 1
    assert bench.service._results.find(("device-1", declined)) is None
    await bench.close()


async def test_a_prompt_that_would_wait_too_long_is_declined(bench: Bench) -> None:
    bench.model.hold()
    await bench.send(HARD)
    await eventually(lambda: bench.model.busy)
    bench.parts.batcher.service_s = 3.0

    hurried = await bench.send(HARD, deadline_s=5.0)
    patient = await bench.send(HARD, deadline_s=10.0)

    assert decode_result((await bench.results.next()).payload) == (
        hurried,
        Notice("busy", "edge-1"),
    )
    await eventually(lambda: ("device-1", patient) in bench.service._admission._in_hand)


async def test_a_busy_agent_above_makes_us_try_another(bench: Bench) -> None:
    await bench.cloud("cloud-1", "cloud-2")
    prompt_id = await bench.send(HARDEST)
    first, _ = await bench.escalated()

    notice = encode_notice(prompt_id, "busy", first)
    for _ in range(2):
        await bench.tester.publish(f"{ROOT}/results/edge-1", notice)

    second, _ = await bench.escalated()
    assert {first, second} == {"cloud-1", "cloud-2"}


async def test_when_all_above_are_busy_the_own_answer_goes_out(bench: Bench) -> None:
    await bench.cloud("cloud-1")
    prompt_id = await bench.send(HARDEST)
    await bench.escalated()

    for _ in range(2):
        await bench.tester.publish(
            f"{ROOT}/results/edge-1", encode_notice(prompt_id, "busy", "cloud-1")
        )
    # Our own notices come to the same inbox.
    payloads = [decode_result((await bench.results.next()).payload) for _ in range(3)]

    results = [came for came in payloads if isinstance(came, Result)]
    assert [(result.outcome, bool(result.degraded)) for result in results] == [
        (Label("edge-1"), True)
    ]


async def test_a_notice_of_an_unknown_prompt_changes_nothing(bench: Bench) -> None:
    await bench.tester.publish(f"{ROOT}/results/edge-1", encode_notice(uuid4(), "busy", "cloud-1"))
    await eventually(lambda: bench.bus.acknowledged == 1)
    await bench.send(HARD)
    await bench.results.next()
    assert (await bench.result()).outcome == Label("edge-1")


# -- copies ------------------------------------------------------------------------------------


async def test_a_policy_that_learns_asks_for_a_copy_and_keeps_it_for_repeats() -> None:
    checks_all = TierSettings(name="edge", policy=Quality(audit=1.0), upstream="cloud")
    bench = await Bench(tier=checks_all).start()
    await bench.cloud("cloud-1")
    prompt_id = await bench.send(HARD)
    _, prompt = await bench.escalated()
    assert prompt.copy

    answer = Result(prompt_id, Label("cloud says"), (Hop("cloud", "cloud-1", 0.9, 0.1, 10),))
    await bench.tester.publish(f"{ROOT}/results/edge-1", encode_result(answer, known_hops=0))
    await bench.results.next()
    await eventually(lambda: bench.service._admission.find(prompt_id) is None)
    await bench.send(HARD, prompt_id=prompt_id)

    again = await bench.result()
    assert again.outcome == Label("cloud says")
    assert [hop.tier for hop in again.hops] == ["edge", "cloud"]
    await bench.close()


async def test_an_agent_above_that_was_passed_over_and_works_again_gets_all_prompts_again(
    bench: Bench,
) -> None:
    await bench.cloud("cloud-1")
    dispatcher = bench.parts.station.dispatcher
    assert dispatcher is not None
    for _ in range(FAILURES):
        dispatcher.failed("cloud-1")
    await bench.send(HARDEST)
    assert (await bench.result()).degraded
    dispatcher.succeeded("cloud-1")  # a late answer ends the pause

    prompt_id = await bench.send(HARDEST)
    _, trial = await bench.escalated()
    assert trial.copy, "the answer goes to the origin: how else are we to hear of it?"
    await bench.send(HARDEST)
    assert (await bench.result()).degraded, "one trial at a time"
    answer = Result(prompt_id, Label("cloud says"), (Hop("cloud", "cloud-1", 0.9, 0.1, 10),))
    await bench.tester.publish(f"{ROOT}/results/edge-1", encode_result(answer, known_hops=0))
    await eventually(lambda: bench.counted("recserve_open_breakers", tier="cloud") == 0)

    await bench.send(HARDEST)
    _, prompt = await bench.escalated()
    assert not prompt.copy


async def test_whoever_asked_for_a_copy_gets_one_beside_the_origin(bench: Bench) -> None:
    sender = Hop("fog", "fog-1", 0.5, 0.7, 10)
    await bench.send(HARD, hops=(DEVICE_HOP, sender), copy=True)

    messages = [await bench.results.next() for _ in range(2)]

    assert [message.topic for message in messages] == [
        f"{ROOT}/results/device-1",
        f"{ROOT}/results/fog-1",
    ]
    hops = []
    for message in messages:
        came = decode_result(message.payload)
        assert isinstance(came, Result)
        hops.append([hop.tier for hop in came.hops])
    assert hops == [["fog", "edge"], ["edge"]]


# -- failures ----------------------------------------------------------------------------------


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


async def test_a_device_beyond_its_rate_is_told_that_we_are_busy() -> None:
    bench = await Bench(limits=LimitSettings(device_prompts_s=0.01, device_burst=2)).start()
    for _ in range(2):
        await bench.send(HARD)
        await bench.result()

    beyond = await bench.send(HARD)
    assert decode_result((await bench.results.next()).payload) == (beyond, Notice("busy", "edge-1"))
    await bench.send(HARD, origin="device-2", hops=())
    assert (await bench.result()).outcome == Label("edge-1")
    await bench.close()


async def test_a_task_that_is_not_served_gets_a_result_that_says_so(bench: Bench) -> None:
    prompt = Prompt(uuid4(), "device-1", "generate", "write", 10.0)
    payload = encode_prompt(prompt, 0.0)
    await bench.tester.publish(f"{ROOT}/prompts/edge-1/generate/device-1", payload)
    result = await bench.result()
    assert result.outcome == Failure("unknown_task", "edge-1 answers classify, not 'generate'")


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


# -- pools and leaving -------------------------------------------------------------------------


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


# -- two devices with one id -------------------------------------------------------------------


async def test_a_relay_gives_each_device_the_answer_to_its_own_text() -> None:
    """Ids are drawn by devices, each for itself; above a relay there is one origin for all."""
    bench = await Bench(
        tier=TierSettings(name="edge", policy=PassAll(), upstream="cloud"),
        upstream=UpstreamSettings(mqtt=MqttSettings(port=1884)),
    ).start()
    await bench.parts.upper_bus.start()
    await bench.cloud("cloud-1")
    prompt_id = uuid4()
    asked = {}
    for device, text in (("device-2", "not a word of truth"), ("device-1", "what a lovely day")):
        await bench.send(text, prompt_id=prompt_id, origin=device, hops=())
        _, above = await bench.escalated()
        asked[above.text] = above.id
    assert len(set(asked.values()) | {prompt_id}) == 3

    for text, id_above in asked.items():
        answer = Result(id_above, Label(text), (Hop("cloud", "cloud-1", 0.9, 0.1, 10),))
        topic = f"{ROOT}/results/edge-1"
        await bench.tester.publish(topic, encode_result(answer, known_hops=0))

    told: dict[str, object] = {}
    while len(told) < 2:
        message = await bench.results.next()
        came = decode_result(message.payload)
        if isinstance(came, Result) and not message.topic.endswith("edge-1"):
            assert came.id == prompt_id
            told[message.topic.rpartition("/")[2]] = came.outcome
    assert told == {
        "device-1": Label("what a lovely day"),
        "device-2": Label("not a word of truth"),
    }
    await bench.close()


async def test_a_copy_that_may_be_another_devices_is_not_kept_for_either() -> None:
    checks_all = TierSettings(name="edge", policy=Quality(audit=1.0), upstream="cloud")
    bench = await Bench(tier=checks_all).start()
    await bench.cloud("cloud-1")
    prompt_id = uuid4()
    for device in ("device-1", "device-2"):
        await bench.send(HARD, prompt_id=prompt_id, origin=device, hops=())
        await bench.escalated()

    answer = Result(prompt_id, Label("of one"), (Hop("cloud", "cloud-1", 0.9, 0.1, 10),))
    await bench.tester.publish(f"{ROOT}/results/edge-1", encode_result(answer, known_hops=0))
    await bench.results.next()
    await asyncio.sleep(0.25)
    await bench.send(HARD, prompt_id=prompt_id, origin="device-1", hops=())
    agent, _ = await bench.escalated()
    assert agent == "cloud-1", "it goes up again"
    await bench.close()
