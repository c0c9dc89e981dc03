"""Other solvers and observers have their place around a batcher, without a change to the loop."""

from __future__ import annotations

from typing import TYPE_CHECKING

from shared.agent.run import serving
from shared.messages import Scored
from shared.tasks.classify import Label
from shared.telemetry.metrics import Metrics
from shared.wire.codec import decode_prompt
from shared.wire.topics import Topics
from tests.support.cascades import HARD, HARDEST, SURE, UNSURE, cascade, edge_settings
from tests.support.fakes import LookupModel
from tests.support.wires import CONNECT_S, Inbox, MemoryWire, eventually, settled

if TYPE_CHECKING:
    from shared.cascade.tier import Escalation
    from shared.messages import Result
    from shared.protocol.batch_queue import Queue
    from shared.serving.solver import Solver
    from shared.tasks import Request, Task


class Recall:
    """Answers what it has seen before; asks the solver behind it for the rest."""

    def __init__(self, behind: Solver) -> None:
        self._behind = behind
        self.known: dict[str, Scored] = {}

    @property
    def tasks(self) -> frozenset[Task]:
        return self._behind.tasks

    def queue_for(self, origin: str) -> Queue:
        return self._behind.queue_for(origin)

    async def solve(
        self, request: Request, *, deadline_s: float, priority: int = 0, origin: str = ""
    ) -> Scored:
        if request.content in self.known:
            return self.known[request.content]
        return await self._behind.solve(
            request, deadline_s=deadline_s, priority=priority, origin=origin
        )


async def test_a_solver_before_the_batcher_answers_what_it_knows() -> None:
    wire, model, made = MemoryWire(), LookupModel("edge", otherwise=SURE), []

    def before(behind: Solver) -> Recall:
        made.append(Recall(behind))
        return made[0]

    async with cascade(wire) as tiers:
        settings = edge_settings(wire)
        serve = serving(
            settings, model=model, connect=wire.connect, metrics=Metrics(), before=before
        )
        async with serve as parts:
            await parts.bus.wait_connected(CONNECT_S)
            device = await tiers.device()
            await tiers.sees(device, "edge-1")
            made[0].known[HARD] = Scored(Label("recalled"), SURE, 0)

            known, unknown = await device.ask(HARD), await device.ask(HARDEST)

    assert (known.outcome, known.tier) == (Label("recalled"), "edge")
    assert (unknown.outcome, unknown.tier) == (Label("edge"), "edge")
    assert model.seen == [HARDEST]


async def test_observers_hear_of_what_went_up_and_came_back_and_of_nothing_else() -> None:
    wire, heard = MemoryWire(), list[tuple["Escalation", "Result"]]()
    model = LookupModel("edge", {HARD: SURE}, otherwise=UNSURE)
    async with cascade(wire) as tiers:
        await tiers.cloud()
        serve = serving(
            edge_settings(wire),
            model=model,
            connect=wire.connect,
            metrics=Metrics(),
            observers=[lambda escalation, result: heard.append((escalation, result))],
        )
        async with serve as parts:
            await parts.bus.wait_connected(CONNECT_S)
            device = await tiers.device()
            await tiers.sees(device, "edge-1")
            await device.ask(HARD)  # the first prompt of a window stays
            dispatcher = parts.station.dispatcher
            assert dispatcher is not None
            assert not parts.station.tier.learns, "the policy alone would ask for no copy"

            result = await device.ask(HARDEST)
            await eventually(lambda: len(heard) > 0)

    ((escalation, copy),) = heard
    assert escalation.prompt.text == HARDEST
    assert escalation.local_result.outcome == Label("edge")
    assert copy.outcome == result.outcome == Label("cloud-1")


async def test_no_copy_is_asked_for_where_nobody_listens() -> None:
    wire = MemoryWire()
    topics = Topics(wire.root)
    async with cascade(wire) as tiers:
        watcher = await settled(wire.bus("watcher"))
        inbox = Inbox(watcher)
        await watcher.subscribe(topics.prompts("cloud-1"), inbox.take)
        await tiers.cloud()
        await tiers.edge()
        device = await tiers.device()

        assert (await device.ask(HARDEST)).tier == "cloud"

        (message,) = inbox.messages
        sent = decode_prompt(message.payload, topics.read_prompt(message.topic), now_s=0.0)
    assert not sent.copy
