"""What the statuses of the agents above tell a dispatcher, and when it hears them."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING
from uuid import UUID

from shared.membership.status import VERSION, Status, encode_status
from shared.messages import Hop, Result
from shared.tasks.classify import Label
from tests.support.dispatching import GONE, HOP, ONLINE, ROOT, Bench
from tests.support.wires import eventually

if TYPE_CHECKING:
    import pytest

LISTEN_S = 0.02


async def test_word_of_agents_reaches_only_who_should_hear_it() -> None:
    bench = await Bench().start()
    await bench.announce("edge-1")
    await bench.announce("edge-1")
    assert bench.appeared == 1, "a second word is nothing new"

    await bench.announce("edge-1", state="offline")
    assert bench.alive() == []
    await bench.announce("edge-1")
    assert bench.appeared == 2

    await bench.upper.publish(f"{ROOT}/status/edge/edge-1", b"", retain=True)
    await eventually(lambda: bench.alive() == [])


async def test_hops_are_told_by_the_statuses_of_their_agents_which_number_they_went_by() -> None:
    bench = await Bench(("edge", "cloud")).start()
    await bench.announce("edge-2")
    edge = Status("online", 1, ("classify",), version=VERSION, confidence_kind="agreement")
    await bench.upper.publish(f"{ROOT}/status/edge/edge-1", encode_status(edge), retain=True)
    await eventually(lambda: "edge-1" in bench.alive())
    hops = [Hop("edge", "edge-1", 0.9, 0.5, 10), Hop("cloud", "edge-1", 0.9, 0.5, 10), HOP]
    silent = [Hop("edge", "edge-2", 0.9, 0.5, 10), Hop("edge", "edge-3", 0.9, 0.5, 10)]

    named = bench.dispatcher.choice.name_confidences(
        Result(UUID(int=1), Label("positive"), (*hops, *silent))
    )

    assert [hop.confidence_kind for hop in named.hops] == ["agreement", "", "", "", ""]


async def test_a_malformed_status_is_counted_logged_once_and_changes_nothing(
    capsys: pytest.CaptureFixture[str],
) -> None:
    bench = await Bench().start()
    await bench.announce("edge-1")
    for _ in range(5):
        await bench.upper.publish(f"{ROOT}/status/edge/edge-1", b"junk")
    labels = {"fault": "malformed"}
    await eventually(
        lambda: bench.metrics.registry.get_sample_value("recserve_refused_total", labels) == 5
    )
    assert bench.alive() == ["edge-1"]
    assert capsys.readouterr().out.count("message refused") == 1


async def test_statuses_are_heard_until_somebody_is_known_and_nothing_goes_up() -> None:
    bench = await Bench(listen_s=LISTEN_S).start()
    await asyncio.sleep(5 * LISTEN_S)
    assert bench.listens, "nobody is known yet"

    await bench.announce("edge-1")
    await eventually(lambda: not bench.listens)

    assert bench.known() == 1, "it was there when last heard of"


async def test_the_first_prompt_goes_to_whom_we_knew_and_has_the_statuses_heard_again() -> None:
    bench = await Bench(listen_s=LISTEN_S).start()
    inbox = await bench.listen("edge-1")
    await bench.announce("edge-1")
    await eventually(lambda: not bench.listens)
    await bench.upper.publish(f"{ROOT}/status/edge/edge-2", ONLINE, retain=True)

    assert await bench.send() == "edge-1"

    await inbox.next()
    await eventually(lambda: bench.known() == 2)
    assert not bench.open_breakers("edge")
    await eventually(lambda: not bench.listens)


async def test_one_who_left_meanwhile_costs_one_try_and_the_statuses_say_who_came() -> None:
    bench = await Bench(listen_s=LISTEN_S).start()
    await bench.announce("edge-1")  # it reads no prompts
    await eventually(lambda: not bench.listens)
    await bench.listen("edge-2")
    await bench.upper.publish(f"{ROOT}/status/edge/edge-1", GONE, retain=True)
    await bench.upper.publish(f"{ROOT}/status/edge/edge-2", ONLINE, retain=True)
    appeared = bench.appeared

    assert await bench.send() == ""
    await eventually(lambda: bench.appeared > appeared)
    assert await bench.send() == "edge-2"


async def test_statuses_are_heard_for_as_long_as_a_prompt_finds_nobody() -> None:
    bench = await Bench(listen_s=LISTEN_S).start()
    await bench.announce("edge-1")
    await eventually(lambda: not bench.listens)

    assert await bench.send() == ""
    await asyncio.sleep(5 * LISTEN_S)

    assert bench.listens
    bench.dispatcher.stop()


# -- agents that fail --------------------------------------------------------------------------
