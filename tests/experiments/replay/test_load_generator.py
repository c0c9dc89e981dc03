"""Every prompt that is played ends in one record, whatever its target does."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from experiments.replay.load_generator import LoadGenerator
from experiments.replay.pacing import LoopClock
from experiments.replay.records import Record, open_records, read_records
from experiments.replay.schedule import ScheduledRequest
from experiments.replay.target import ReplayRequest, Response
from shared.messages import Failure, Hop, Result
from shared.tasks.classify import Label
from shared.wire.topics import Topics

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence
    from pathlib import Path

HOPS = (Hop("device", "d", 0.6, 0.7, 100), Hop("edge", "e", 0.9, 0.8, 200))


class Answering:
    """A target whose every answer is what a test makes it."""

    devices: Sequence[str] = ("d",)

    def __init__(self, answer: Callable[[ReplayRequest], Awaitable[Response]]) -> None:
        self.asked: list[ReplayRequest] = []
        self._answer = answer

    async def ask(self, question: ReplayRequest) -> Response:
        self.asked.append(question)
        return await self._answer(question)


async def at_once(_: ReplayRequest) -> Response:
    return Response(Label("positive"), HOPS)


async def never(_: ReplayRequest) -> Response:
    await asyncio.Event().wait()
    raise AssertionError


def plays(prompts: int, *, every_s: float = 0.001) -> list[ScheduledRequest]:
    return [
        ScheduledRequest(n, n * every_s, "d", "classify", f"text {n}", "positive", None)
        for n in range(prompts)
    ]


async def play(
    folder: Path,
    target: Answering,
    prompts: int = 5,
    *,
    in_flight: int = 0,
    keep_text: bool = False,
    patience_s: float = 5.0,
) -> tuple[list[Record], int]:
    with open_records(folder) as writer:
        player = LoadGenerator(
            target, writer, LoopClock(), Topics(), run="run", timeout_s=7.0, keep_text=keep_text
        )
        if in_flight:
            await player.play_closed(plays(prompts), in_flight)
        else:
            await player.play_open(plays(prompts))
        given_up = await player.finish(patience_s)
    return read_records(folder), given_up


async def test_each_prompt_has_its_record(tmp_path: Path) -> None:
    records, given_up = await play(tmp_path, Answering(at_once), 50)

    assert [record.number for record in records] == list(range(50))
    assert given_up == 0
    first = records[0]
    assert (first.given, first.label, first.tier) == (Label("positive"), "positive", "edge")
    assert first.hops == HOPS
    assert first.at_s <= first.sent_s <= first.done_s


async def test_texts_are_kept_only_when_asked_for(tmp_path: Path) -> None:
    for name in ("without", "with"):
        (tmp_path / name).mkdir()
    without, _ = await play(tmp_path / "without", Answering(at_once))
    with_, _ = await play(tmp_path / "with", Answering(at_once), keep_text=True)

    assert {record.text for record in without} == {""}
    assert [record.text for record in with_] == [f"text {n}" for n in range(5)]
    assert [record.key for record in without] == [record.key for record in with_]


async def test_the_bytes_are_those_of_the_links_that_were_crossed(tmp_path: Path) -> None:
    records, _ = await play(tmp_path, Answering(at_once))

    assert all(set(record.packet_bytes) == {"device-edge"} for record in records)
    assert all(100 < record.packet_bytes["device-edge"] < 300 for record in records)


async def test_a_failure_is_kept_with_its_reason(tmp_path: Path) -> None:
    async def fail(question: ReplayRequest) -> Response:
        return Response.of(Result(question.id, Failure("busy", "1000 wait already"), HOPS[:1]))

    records, _ = await play(tmp_path, Answering(fail))

    assert {(r.error, r.reason, r.answer) for r in records} == {("busy", "1000 wait already", None)}


async def test_a_degraded_answer_says_so(tmp_path: Path) -> None:
    async def fall_back(question: ReplayRequest) -> Response:
        return Response.of(Result(question.id, Label("negative"), HOPS[:1], "no edge agent"))

    records, _ = await play(tmp_path, Answering(fall_back))

    assert {(r.given, r.degraded) for r in records} == {(Label("negative"), "no edge agent")}


async def test_what_is_under_way_too_long_is_given_up_without_a_record(tmp_path: Path) -> None:
    records, given_up = await play(tmp_path, Answering(never), patience_s=0.05)

    assert (records, given_up) == ([], 5)


async def test_a_slow_answer_holds_up_nobody_in_an_open_loop(tmp_path: Path) -> None:
    async def slow(_: ReplayRequest) -> Response:
        await asyncio.sleep(0.3)
        return Response(Label("positive"), HOPS)

    records, _ = await play(tmp_path, Answering(slow), 100)

    assert max(record.sent_s for record in records) < 0.3
    assert min(record.latency_s for record in records) > 0.29


async def test_a_closed_loop_keeps_so_many_under_way(tmp_path: Path) -> None:
    under_way = most = 0

    async def slow(_: ReplayRequest) -> Response:
        nonlocal under_way, most
        under_way += 1
        most = max(most, under_way)
        await asyncio.sleep(0.01)
        under_way -= 1
        return Response(Label("positive"), HOPS)

    records, _ = await play(tmp_path, Answering(slow), 20, in_flight=4)

    assert most == 4
    assert len(records) == 20
    assert max(record.lateness_s for record in records) < 0.02


async def test_ids_are_those_of_the_run(tmp_path: Path) -> None:
    target = Answering(at_once)
    records, _ = await play(tmp_path, target)

    assert [str(question.id) for question in target.asked] == [record.id for record in records]
    assert {question.timeout_s for question in target.asked} == {7.0}
