"""What an upper agent does with a prompt that it has had before."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

from shared.agent.settings import LimitSettings
from shared.errors import NotConnected
from shared.protocol import admission
from shared.wire.codec import Notice, decode_result, encode_notice
from tests.support.bench import ROOT, Bench
from tests.support.cascades import HARD, HARDEST
from tests.support.wires import eventually

if TYPE_CHECKING:
    import pytest


async def test_a_repeat_is_answered_from_memory_without_model_or_window(bench: Bench) -> None:
    prompt_id = await bench.send(HARD)
    first = await bench.result()
    window = bench.parts.station.tier._policies["classify"].window  # type: ignore[attr-defined]
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
