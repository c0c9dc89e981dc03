"""What an upper agent says when it is busy, and does when those above are."""

from __future__ import annotations

from uuid import uuid4

from shared.agent.settings import LimitSettings
from shared.membership.breaker import FAILURES
from shared.messages import Hop, Result
from shared.serving.batcher import Batcher
from shared.tasks.classify import Label
from shared.wire.codec import Notice, decode_result, encode_notice, encode_result
from tests.support.bench import DEVICE_HOP, ROOT, Bench
from tests.support.cascades import HARD, HARDEST
from tests.support.wires import eventually


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
    assert isinstance(bench.parts.batcher, Batcher)
    bench.parts.batcher._queue.service_s = 3.0

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
